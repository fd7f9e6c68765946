// SPDX-License-Identifier: MIT
// Folders that only together are a checkpoint (make_folders.py): what is wrong with the set is told
// though each of its files is fine.
#include <algorithm>

#include "core/artifact/file_bytes.h"
#include "core/base/files.h"
#include "tests/core/artifact/artifact_fixture.h"
#include "tests/fuzz/memory_file.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

// A copy of one of the kept folders, to break.
class Copy {
 public:
  explicit Copy(const std::string& name) : name_(name) {
    fs::copy(fs::path(RGT_SOURCE_DIR) / "tests/core/artifact/folders" / name, path(),
             fs::copy_options::recursive);
  }
  fs::path path() const { return temporary_.path() / name_; }
  std::string text(const std::string& file) const { return bytes_of(path() / file); }
  void write(const std::string& file, const std::string& bytes) const {
    fs::create_directories((path() / file).parent_path());
    std::ofstream(path() / file, std::ios::binary) << bytes;
  }
  void replace(const std::string& file, const std::string& from, const std::string& to) const {
    std::string bytes = text(file);
    const std::size_t at = bytes.find(from);
    INFO(file << " lacks " << from);
    REQUIRE(at != std::string::npos);
    write(file, bytes.replace(at, from.size(), to));
  }
  void remove(const std::string& file) const { REQUIRE(fs::remove_all(path() / file) > 0); }
  void move(const std::string& from, const std::string& to) const {
    fs::rename(path() / from, path() / to);
  }
  void swap(const std::string& a, const std::string& b) const {
    const std::string bytes = text(a);
    write(a, text(b));
    write(b, bytes);
  }

  std::vector<ArtifactReport> check_all(Depth depth = Depth::resume) const {
    return check_paths({path()}, {depth}, {}).value();
  }
  // The report on the folder at `below`.
  ArtifactReport check(const std::string& below = "", Depth depth = Depth::resume) const {
    const auto all = check_all(depth);
    const std::string wanted = (below.empty() ? path() : path() / below).string();
    const auto found = std::find_if(all.begin(), all.end(), [&](const ArtifactReport& report) {
      return report.path == wanted;
    });
    INFO("no report on " << wanted);
    REQUIRE(found != all.end());
    return *found;
  }

 private:
  std::string name_;
  TemporaryFolder temporary_ = {};
};

void expect(const ArtifactReport& report, ArtifactVerdict verdict, const std::string& words) {
  std::string told;
  for (const Finding& finding : report.findings) told += "\n" + finding.what;
  INFO(report.path << " " << artifact_verdict_name(report.verdict) << told);
  CHECK(report.verdict == verdict);
  if (!words.empty()) CHECK(says(report, words));
}

const std::string kIndex = "model.safetensors.index.json";
const std::string kOne = "model-00001-of-00002.safetensors";
const std::string kTwo = "model-00002-of-00002.safetensors";

}  // namespace

TEST_CASE("Whole sets are ok, and their reports stand behind those of their files") {
  struct Case {
    const char *folder, *below, *format;
    Depth depth;
  };
  for (const Case& each :
       {Case{"sharded_safetensors", "", "sharded_safetensors", Depth::values},
        Case{"sharded_bin", "", "sharded_pytorch_zip", Depth::resume},
        Case{"hf_trainer", "checkpoint-3", "hf_trainer", Depth::resume},
        Case{"accelerate", "", "accelerate", Depth::resume},
        Case{"deepspeed", "global_step3", "deepspeed_zero", Depth::resume},
        Case{"deepspeed", "", "deepspeed_zero", Depth::resume},
        Case{"dcp", "", "dcp", Depth::values}, Case{"orbax", "3", "orbax", Depth::structure}}) {
    const Copy copy(each.folder);
    const ArtifactReport report = copy.check(each.below);
    expect(report, ArtifactVerdict::ok, "");
    CHECK(report.format == each.format);
    CHECK(report.depth == each.depth);
    CHECK(report.size > 0);
    for (const ArtifactReport& one : copy.check_all()) expect(one, ArtifactVerdict::ok, "");
    const auto all = copy.check_all();
    const auto place = [&](const std::string& path) {
      return std::find_if(all.begin(), all.end(),
                          [&](const ArtifactReport& one) { return one.path == path; });
    };
    for (auto one = all.begin(); one != all.end(); ++one) {
      if (one->path.starts_with(report.path + "/")) CHECK(one < place(report.path));
    }
  }
}

TEST_CASE("A folder is known whatever its path ends with, and a file alone is no set") {
  const Copy copy("sharded_safetensors");
  const auto slash = check_paths({copy.path().string() + "/"}, {}, {}).value();
  CHECK(slash.size() == 4);
  CHECK(slash.back().format == "sharded_safetensors");
  CHECK(check_paths({copy.path() / kOne}, {}, {})->size() == 1);
  CHECK(copy.check_all(Depth::digest).size() == 3);
}

TEST_CASE("Shards: a missing, cut, swapped or foreign one is caught") {
  const std::string set = "sharded_safetensors";
  {
    const Copy copy(set);
    copy.remove(kTwo);
    expect(copy.check(), ArtifactVerdict::incomplete, "shards are missing: " + kTwo);
  }
  {
    const Copy copy(set);
    copy.write(kTwo, copy.text(kTwo).substr(0, 200));
    expect(copy.check(), ArtifactVerdict::corrupt, kTwo + " is corrupt");
  }
  {
    const Copy copy(set);
    copy.swap(kOne, kTwo);
    expect(copy.check(), ArtifactVerdict::corrupt, "as it says");
  }
  {
    const Copy copy(set);
    copy.move(kTwo, "model-00002-of-00003.safetensors");
    copy.replace(kIndex, kTwo, "model-00002-of-00003.safetensors");
    copy.replace(kIndex, kTwo, "model-00002-of-00003.safetensors");
    expect(copy.check(), ArtifactVerdict::corrupt, "shards of different sets: of 2 and of 3");
  }
  {
    const Copy copy(set);
    copy.write("model-00003-of-00003.safetensors", copy.text(kTwo));
    expect(copy.check(), ArtifactVerdict::ok, "left from another save");
    copy.write("model.safetensors", copy.text(kTwo));
    expect(copy.check(), ArtifactVerdict::ok, "a loader takes only one");
  }
  {
    const Copy copy(set);
    copy.remove(kIndex);
    expect(copy.check(), ArtifactVerdict::incomplete, "have no index");
    copy.remove(kOne);
    expect(copy.check(), ArtifactVerdict::incomplete, "number 1 is missing (1 of 2");
  }
}

TEST_CASE("Shards: a tensor in the wrong shard, in two, in none, or of other bytes is caught") {
  const Copy copy("sharded_safetensors");
  const std::string index = copy.text(kIndex);
  copy.replace(kIndex, kOne, kTwo);  // the first tensor's
  expect(copy.check(), ArtifactVerdict::corrupt, "is in " + kOne + ", not in " + kTwo);
  copy.write(kIndex, index);
  copy.replace(kIndex, "second.bias", "second.bids");
  expect(copy.check(), ArtifactVerdict::corrupt, "second.bias of");
  copy.write(kIndex, index);
  copy.replace(kIndex, "\"first.bias\"", "\"third.bias\": \"" + kTwo + "\",\n    \"first.bias\"");
  expect(copy.check(), ArtifactVerdict::incomplete, "third.bias is not in " + kTwo);
  copy.write(kIndex, index);
  copy.replace(kIndex, "\"total_size\": 176", "\"total_size\": 88");
  expect(copy.check(), ArtifactVerdict::corrupt, "have 176 bytes, total_size says 88");
  copy.write(kIndex, index);
  copy.replace(kTwo, "second.bias", "first.bias\",\"x");  // one more name needs a valid header
  CHECK(copy.check().verdict != ArtifactVerdict::ok);
}

TEST_CASE("Shards: an index that lies, loops or overwhelms is refused and nothing else") {
  const auto verdict_of = [](const std::string& index) {
    const Copy copy("sharded_safetensors");
    copy.write(kIndex, index);
    return copy.check();
  };
  expect(verdict_of("{"), ArtifactVerdict::corrupt, "");
  expect(verdict_of(R"({"a":1})"), ArtifactVerdict::corrupt, "no weight_map");
  expect(verdict_of("7"), ArtifactVerdict::corrupt, "no weight_map");
  expect(verdict_of(R"({"weight_map":["a"]})"), ArtifactVerdict::corrupt, "no map of names");
  expect(verdict_of(R"({"weight_map":{"a":1}})"), ArtifactVerdict::corrupt, "no map of names");
  expect(verdict_of(R"({"weight_map":{"a":{"b":"c"}}})"), ArtifactVerdict::corrupt,
         "no map of names");
  expect(verdict_of(R"({"weight_map":{"a":"x","a":"y"}})"), ArtifactVerdict::corrupt, "twice");
  for (const char* outside : {"../secret.bin", "/etc/passwd", "a\\\\b", "..", ""})
    expect(verdict_of(std::string(R"({"weight_map":{"a":")") + outside + "\"}}"),
           ArtifactVerdict::corrupt, "outside of its folder");
  const std::string deep(100000, '[');
  expect(verdict_of("{\"metadata\":" + deep + "}"), ArtifactVerdict::corrupt, "");
  expect(verdict_of("{\"metadata\":" + deep + std::string(100000, ']') + "}"),
         ArtifactVerdict::corrupt, "nested deeper");
  expect(verdict_of("{\"weight_map\":{" + std::string(70u << 20, ' ') + "}}"),
         ArtifactVerdict::unverified, "larger than 64.0 MiB");
}

TEST_CASE("Shards of a variant, and of torch's own format, are held to their index too") {
  const Copy variant("sharded_safetensors");
  variant.move(kIndex, "model.safetensors.index.fp16.json");
  expect(variant.check(), ArtifactVerdict::ok, "");
  variant.remove(kOne);
  expect(variant.check(), ArtifactVerdict::incomplete, "shards are missing");
  const Copy bin("sharded_bin");
  bin.swap("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin");
  expect(bin.check(), ArtifactVerdict::corrupt, "as it says");
}

// A checkpoint of torch's whose data.pkl is this and that has no tensor.
std::string zip_with(const std::string& pickle) {
  return zip_of({{"a/data.pkl", "\x80\x02" + pickle + "."}, {"a/version", "3\n"}});
}

TEST_CASE("Trainer: the step of the folder, of its state and of its parts must agree") {
  const Copy copy("hf_trainer");
  const std::string at = "checkpoint-3", state = at + "/trainer_state.json";
  const std::string whole = copy.text(state);
  CHECK(says(copy.check(at), "weights, optimizer, scheduler, RNG and step are there"));
  CHECK(says(copy.check(at), "allow-list for") == false);
  copy.move(at, "checkpoint-4");
  expect(copy.check("checkpoint-4"), ArtifactVerdict::corrupt,
         "the folder is of step 4, trainer_state.json of step 3");
  copy.move("checkpoint-4", at);
  copy.write(state, R"({"global_step":2,"epoch":1.0,"log_history":[]})");
  copy.move(at, "checkpoint-2");
  expect(copy.check("checkpoint-2"), ArtifactVerdict::corrupt,
         "the optimizer has taken 3 steps, global_step is 2");
  copy.move("checkpoint-2", at);
  copy.write(state, R"({"global_step":3,"log_history":[{"step":2,"loss":NaN},{"step":1}]})");
  expect(copy.check(at), ArtifactVerdict::corrupt, "its log goes back from step 2 to 1");
  copy.write(state, R"({"global_step":3,"log_history":[{"step":9}]})");
  expect(copy.check(at), ArtifactVerdict::corrupt, "its log reaches step 9");
  for (const char* wrong :
       {"{", "[1]", "null", R"({"global_step":"3"})", R"({"global_step":[3]})",
        R"({"global_step":-1})", R"({"global_step":3,"global_step":4})", R"({"log_history":7})"}) {
    copy.write(state, wrong);
    expect(copy.check(at), ArtifactVerdict::corrupt, "trainer_state.json");
  }
  copy.write(state, whole);
  expect(copy.check(at), ArtifactVerdict::ok, "");
}

TEST_CASE("Trainer: what a resume would miss is told, and half a state is not whole") {
  const std::string at = "checkpoint-3";
  const auto without = [&](std::initializer_list<const char*> files) {
    const Copy copy("hf_trainer");
    for (const char* file : files) copy.remove(at + "/" + file);
    return copy.check(at);
  };
  expect(without({"optimizer.pt"}), ArtifactVerdict::incomplete, "the optimizer (optimizer.pt)");
  expect(without({"scheduler.pt"}), ArtifactVerdict::incomplete, "the scheduler (scheduler.pt)");
  expect(without({"rng_state.pth"}), ArtifactVerdict::incomplete, "the RNG states");
  expect(without({"model.safetensors"}), ArtifactVerdict::incomplete, "it holds no weights");
  expect(without({"trainer_state.json"}), ArtifactVerdict::incomplete,
         "trainer_state.json is missing");
  expect(without({"optimizer.pt", "scheduler.pt", "rng_state.pth"}), ArtifactVerdict::ok,
         "enough for inference");
  const Copy ranks("hf_trainer");
  ranks.write(at + "/rng_state_0.pth", ranks.text(at + "/rng_state.pth"));
  ranks.move(at + "/rng_state.pth", at + "/rng_state_2.pth");
  expect(ranks.check(at), ArtifactVerdict::incomplete, "the RNG state of rank 1 is missing");
  const Copy scaled("hf_trainer");
  scaled.write(at + "/training_args.bin",
               zip_with("ctransformers.training_args\nTrainingArguments\n)\x81}X\x04" +
                        std::string(3, '\0') + "fp16\x88sb"));
  expect(scaled.check(at), ArtifactVerdict::incomplete, "the gradient scaler of fp16");
  const Copy own("hf_trainer");
  own.write(at + "/training_args.bin", zip_with("cmy.args\nMine\n)\x81"));
  own.write(at + "/special_tokens_map.json", "{}");
  expect(own.check(at), ArtifactVerdict::ok, "only their own code can rebuild: my.args.Mine");
}

TEST_CASE("Trainer: one damaged or hostile file is the folder's verdict") {
  const Copy copy("hf_trainer");
  const std::string at = "checkpoint-3";
  std::string bytes = copy.text(at + "/optimizer.pt");
  copy.write(at + "/optimizer.pt", bytes.substr(0, bytes.size() / 2));
  expect(copy.check(at), ArtifactVerdict::corrupt, "optimizer.pt is corrupt");
  copy.write(at + "/tokenizer.bin", zip_with("cos\nsystem\n"));
  expect(copy.check(at), ArtifactVerdict::hostile, "ATTACK");
  copy.write(at + "/optimizer.pt", "");
  copy.remove(at + "/tokenizer.bin");
  expect(copy.check(at), ArtifactVerdict::incomplete, "optimizer.pt is incomplete: it is empty");
}

TEST_CASE("accelerate: a missing part or rank is caught") {
  const auto without = [&](const std::string& file) {
    const Copy copy("accelerate");
    copy.remove(file);
    return copy.check();
  };
  expect(without("model.safetensors"), ArtifactVerdict::incomplete, "it holds no weights");
  expect(without("optimizer.bin"), ArtifactVerdict::incomplete, "would miss the optimizer");
  expect(without("random_states_0.pkl"), ArtifactVerdict::incomplete, "the save did not end");
  expect(without("scheduler.bin"), ArtifactVerdict::ok, "no scheduler");
  const Copy copy("accelerate");
  copy.write("random_states_2.pkl", copy.text("random_states_0.pkl"));
  expect(copy.check(), ArtifactVerdict::incomplete, "the random state of rank 1 is missing");
  copy.write("random_states_1.pkl", copy.text("random_states_0.pkl"));
  expect(copy.check(), ArtifactVerdict::ok, "");
  copy.write("random_states_2.pkl", zip_with(std::string("}X\x04\0\0\0stepK\x09s", 13)));
  expect(copy.check(), ArtifactVerdict::corrupt, "its ranks are at different steps");
}

TEST_CASE("An optimizer of another model is caught across files") {
  const Copy copy("accelerate");
  fs::copy(data_file("good.safetensors"), copy.path() / "model.safetensors",
           fs::copy_options::overwrite_existing);
  expect(copy.check(), ArtifactVerdict::incomplete, "they were not saved together");
}

TEST_CASE("DeepSpeed: a missing or foreign rank, another step and a wrong `latest` are caught") {
  const std::string tag = "global_step3",
                    one = tag + "/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt";
  {
    const Copy copy("deepspeed");
    copy.remove(one);
    expect(copy.check(tag), ArtifactVerdict::incomplete, "data-parallel rank 1 is missing (1 of 2");
    expect(copy.check(), ArtifactVerdict::incomplete, "global_step3 is incomplete");
    copy.write(one, "");
    expect(copy.check(tag), ArtifactVerdict::incomplete, "it is empty");
  }
  {
    const Copy copy("deepspeed");
    copy.write(tag + "/bf16_zero_pp_rank_2_mp_rank_00_optim_states.pt", copy.text(one));
    expect(copy.check(tag), ArtifactVerdict::corrupt, "rank 2 of 2: left from a larger run");
  }
  {
    const Copy copy("deepspeed");
    copy.remove(tag + "/mp_rank_00_model_states.pt");
    expect(copy.check(tag), ArtifactVerdict::incomplete, "no rank's model states");
  }
  {
    const Copy copy("deepspeed");
    copy.move(tag, "global_step4");
    expect(copy.check(), ArtifactVerdict::incomplete, "names global_step3, which is not there");
    expect(copy.check("global_step4"), ArtifactVerdict::corrupt,
           "its tag is of step 4, its files are of step 3");
    for (const char* wrong : {"../global_step4", "", "\n", "a/b"}) {
      copy.write("latest", wrong);
      CHECK(copy.check().verdict != ArtifactVerdict::ok);
    }
  }
  {
    const Copy copy("deepspeed");
    copy.remove("latest");
    expect(copy.check(tag), ArtifactVerdict::ok, "no `latest` beside it");
  }
}

TEST_CASE("Distributed checkpoints: a cut, longer, missing or flipped data file is caught") {
  const Copy copy("dcp");
  const std::string file = "__1_0.distcp", whole = copy.text(file);
  copy.write(file, whole.substr(0, whole.size() - 1));
  expect(copy.check(), ArtifactVerdict::incomplete, "it was cut");
  copy.write(file, whole + "x");
  expect(copy.check(), ArtifactVerdict::corrupt, "1 bytes at the end of __1_0.distcp");
  copy.remove(file);
  expect(copy.check(), ArtifactVerdict::incomplete, "its files are missing: __1_0.distcp");
  std::string flipped = whole;
  char& letter = flipped[whole.find("storage")];
  letter = static_cast<char>(letter ^ 1);
  copy.write(file, flipped);
  expect(copy.check(), ArtifactVerdict::corrupt, "the record of");
  copy.write(file, whole);
  expect(copy.check(), ArtifactVerdict::ok, "");
  copy.write("__2_0.distcp", whole);
  expect(copy.check(), ArtifactVerdict::unverified, "__2_0.distcp is unverified");
  copy.remove("__2_0.distcp");
  copy.move(".metadata", ".metadata.tmp");
  expect(copy.check(), ArtifactVerdict::incomplete, "no .metadata");
}

TEST_CASE("Distributed checkpoints: a description that lies is caught") {
  const Copy copy("dcp");
  const fs::path broken = fs::path(RGT_SOURCE_DIR) / "tests/core/artifact/folders/dcp_broken";
  const auto with = [&](const char* name) {
    copy.write(".metadata", bytes_of(broken / name));
    return copy.check();
  };
  expect(with("hole"), ArtifactVerdict::corrupt, "belong to nothing");
  expect(with("overlap"), ArtifactVerdict::corrupt, "overlaps the one before it");
  expect(with("outside"), ArtifactVerdict::incomplete, "it was cut");
  expect(with("escape"), ArtifactVerdict::corrupt, "outside of its folder: ../__0_0.distcp");
  expect(with("chunk_hole"), ArtifactVerdict::corrupt, "first.weight has a hole");
  expect(with("chunk_overlap"), ArtifactVerdict::corrupt, "first.weight has chunks that overlap");
  expect(with("no_record"), ArtifactVerdict::incomplete, "has no record");
  expect(with("dtype"), ArtifactVerdict::corrupt, "its chunk is");
  const std::string whole =
      bytes_of(fs::path(RGT_SOURCE_DIR) / "tests/core/artifact/folders/dcp" / ".metadata");
  for (std::size_t size = 0; size < whole.size(); size += 31) {
    copy.write(".metadata", whole.substr(0, size));
    CHECK(copy.check().verdict != ArtifactVerdict::ok);
  }
  copy.write(".metadata", whole + "x");
  expect(copy.check(), ArtifactVerdict::corrupt, "bytes behind its end");
  copy.write(".metadata",
             "\x80\x02"
             "cos\nsystem\n.");
  expect(copy.check(), ArtifactVerdict::hostile, "ATTACK");
  copy.write(".metadata", "\x80\x02}.");
  expect(copy.check(), ArtifactVerdict::corrupt, "no description of a checkpoint");
}

TEST_CASE("Orbax: an unfinished save, a lost or cut chunk and a changed manifest are caught") {
  {
    const Copy copy("orbax");
    copy.move("3", "3.orbax-checkpoint-tmp-17");
    expect(copy.check("3.orbax-checkpoint-tmp-17"), ArtifactVerdict::incomplete,
           "of an unfinished save");
  }
  {
    const Copy copy("orbax");
    copy.replace("3/_CHECKPOINT_METADATA", "\"commit_timestamp_nsecs\": 2",
                 "\"commit_timestamp_nsecs\": null");
    expect(copy.check("3"), ArtifactVerdict::incomplete, "was not committed");
  }
  {
    const Copy copy("orbax");
    const std::string chunk = "3/default/params.kernel/0.1";
    copy.write(chunk, copy.text(chunk).substr(1));
    expect(copy.check("3"), ArtifactVerdict::corrupt, "has 47 bytes, 48 are expected");
    copy.remove(chunk);
    expect(copy.check("3"), ArtifactVerdict::incomplete, "1 of 2 chunks");
  }
  {
    const Copy copy("orbax");
    const std::string array = "3/default/step/.zarray";
    copy.write(array, R"({"zarr_format":2,"dtype":"<f4","compressor":null,"filters":null,)"
                      R"("shape":[9223372036854775807,9223372036854775807],"chunks":[1,1]})");
    expect(copy.check("3"), ArtifactVerdict::unverified, "more chunks than we look at");
    for (const char* wrong : {"{}", "[", "3", R"({"zarr_format":2,"shape":[1],"chunks":[0]})",
                              R"({"zarr_format":2,"shape":[-1],"chunks":[1]})",
                              R"({"zarr_format":2,"shape":{"a":1},"chunks":[1]})"}) {
      copy.write(array, wrong);
      CHECK(copy.check("3").verdict != ArtifactVerdict::ok);
    }
  }
  const Copy store("orbax_ocdbt");
  const std::string manifest = "3/default/manifest.ocdbt", whole = store.text(manifest);
  expect(store.check("3/default"), ArtifactVerdict::unverified, "its values are in an OCDBT store");
  store.write(manifest, whole.substr(0, whole.size() - 1));
  expect(store.check("3/default"), ArtifactVerdict::incomplete, "it has 47");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    store.write(manifest, flipped);
    const ArtifactVerdict verdict = store.check("3/default").verdict;
    CHECK((verdict == ArtifactVerdict::corrupt || verdict == ArtifactVerdict::incomplete));
  }
}

}  // namespace rgt
