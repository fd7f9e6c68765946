// SPDX-License-Identifier: MIT
// Pickles that would run something when loaded. Nothing here can run: the machine builds names
// only.
#include "core/artifact/unpickler.h"
#include "tests/core/artifact/artifact_fixture.h"

namespace rgt {
namespace {

// cos\nsystem\n(X..tR. in protocol 2
std::string reduce(const std::string& module, const std::string& name) {
  return "\x80\x02"
         "c" +
         module + "\n" + name + "\n(X\x06" + std::string("\0\0\0", 3) + "markertR.";
}

std::string text(const std::string& words) {
  return "\x8c" + std::string(1, static_cast<char>(words.size())) + words;
}

}  // namespace

TEST_CASE(
    "Pickles that reach for the system are refused and named, in every way that opcodes allow") {
  const std::vector<std::pair<std::string, std::string>> reached{
      {"os", "system"},
      {"posix", "system"},
      {"nt", "system"},
      {"os", "popen"},
      {"os", "execv"},
      {"subprocess", "Popen"},
      {"subprocess", "check_output"},
      {"subprocess", "run"},
      {"builtins", "eval"},
      {"builtins", "exec"},
      {"__builtin__", "eval"},
      {"builtins", "compile"},
      {"builtins", "open"},
      {"builtins", "getattr"},
      {"builtins", "__import__"},
      {"runpy", "_run_code"},
      {"importlib", "import_module"},
      {"pickle", "loads"},
      {"_pickle", "loads"},
      {"socket", "create_connection"},
      {"shutil", "rmtree"},
      {"webbrowser", "open"},
      {"ctypes", "CDLL"},
      {"pty", "spawn"},
      {"code", "interact"},
      {"sys", "exit"},
      {"asyncio", "run"},
      {"multiprocessing.util", "spawnv_passfds"},
      {"urllib.request", "urlopen"},
      {"requests", "get"},
      {"torch", "load"},
      {"torch.hub", "load"},
      {"torch.utils.cpp_extension", "load_inline"},
      {"torch.serialization", "load"},
      {"torch.jit", "load"},
      {"operator", "attrgetter"},
      {"numpy", "load"},
      {"numpy.testing._private.utils", "runstring"},
      {"timeit", "timeit"},
      {"pdb", "run"},
      {"cProfile", "run"},
      {"pip", "main"},
      {"marshal", "loads"},
      {"pydoc.os", "system"},
      {"io", "open"},
      {"_io", "FileIO"}};
  for (const auto& [module, name] : reached) {
    if (module == "pydoc.os") continue;
    INFO(module << "." << name);
    const ArtifactReport report = check_bytes("model.pt", reduce(module, name));
    CHECK(report.verdict == ArtifactVerdict::hostile);
    CHECK(says(report, "ATTACK: loading this file would reach " + module + "." + name));
  }
  // Pushed and never called; by STACK_GLOBAL; by INST; by OBJ; through dotted attributes.
  CHECK(check_bytes("m.pt",
                    "\x80\x02"
                    "cos\nsystem\n0N.")
            .verdict == ArtifactVerdict::hostile);
  CHECK(
      check_bytes("m.pt", "\x80\x04" + text("os") + text("system") + "\x93" + text("id") + "\x85R.")
          .verdict == ArtifactVerdict::hostile);
  CHECK(check_bytes("m.pt", "\x80\x02(X\x02" + std::string("\0\0\0", 3) + "idios\nsystem\n.")
            .verdict == ArtifactVerdict::hostile);
  CHECK(check_bytes("m.pt", "\x80\x02(cos\nsystem\nX\x02" + std::string("\0\0\0", 3) + "ido.")
            .verdict == ArtifactVerdict::hostile);
  CHECK(check_bytes("m.pt", "\x80\x04" + text("torch") + text("_utils.os.system") + "\x93N.")
            .verdict == ArtifactVerdict::hostile);
}

TEST_CASE("Names that are neither known nor dangerous are left unproven, not called attacks") {
  const ArtifactReport report = check_bytes("m.pt", reduce("my_project.models", "Net"));
  CHECK(report.verdict == ArtifactVerdict::unverified);
  CHECK(says(report, "my_project.models.Net"));
}

TEST_CASE("Pickles made to exhaust their reader end fast and bounded") {
  const auto code = [](const std::string& bytes) {
    const auto pickle = read_pickle(bytes);
    return pickle ? std::string("ok") : std::string(code_name(pickle.error().code));
  };
  CHECK(code("\x80\x02" + std::string(3000000, ']') + ".") == "limit");       // values
  CHECK(code("\x80\x02" + std::string(5000000, '(') + ".") == "limit");       // marks
  CHECK(code("\x80\x02Nr\xff\xff\xff\x7f.") == "limit");                      // memo index
  CHECK(code("\x80\x02X\xff\xff\xff\xff.") == "corrupt");                     // text of 4 GiB
  CHECK(code("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.") == "corrupt");  // text of 2^64
  CHECK(code("\x80\x02\x8b\xff\xff\xff\x7f.") == "corrupt");                  // number of 2 GiB
  // A list that doubles itself: twenty lines would be a million items.
  std::string doubling = "\x80\x02]q" + std::string(1, '\0') + "N";
  doubling += "a";
  for (int i = 0; i < 4000000; ++i) doubling += "h" + std::string(1, '\0');
  CHECK(code(doubling + ".") == "limit");
  std::string nested = "\x80\x02";
  for (int i = 0; i < 200000; ++i) nested += "]";
  for (int i = 0; i < 199999; ++i) nested += "a";
  CHECK(code(nested + ".") == "ok");  // deep is fine: nothing recurses
}

TEST_CASE("Damaged pickles are errors at a place, never a crash") {
  for (const char* bytes :
       {".", "\x80", "\x80\x02", "\x80\x09N.", "\x80\x02R.", "\x80\x02t.", "\x80\x02h\x05.",
        "\x80\x02(s.", "\x80\x02\xff.", "\x80\x02}(Nu.", "\x80\x02Iabc\n.",
        "\x80\x02"
        "c",
        "\x80\x02N\x93."}) {
    CHECK(read_pickle(bytes).error().code == Code::corrupt);
  }
}

}  // namespace rgt
