// SPDX-License-Identifier: MIT
#include <fstream>
#include <iterator>
#include <thread>

#include <catch2/catch.hpp>

#include "core/base/digest.h"
#include "core/base/files.h"
#include "tests/core/box/transport/ssh_rig.h"

namespace rgt {
namespace {

namespace fs = std::filesystem;

struct Rig {
  LoopbackSshd sshd = {};
  TemporaryFolder folder = {};
  SystemProcessRunner processes = {};
  std::unique_ptr<Boxes> boxes = make_boxes(sshd.settings(), processes);
  fs::path far = folder.path() / "far side";
  fs::path near = folder.path() / "near side";

  void put(const std::string& path, const std::string& bytes) {
    fs::create_directories((far / path).parent_path());
    std::ofstream(far / path, std::ios::binary) << bytes;
  }
  Result<PullReport> pull(const std::string& box, std::vector<std::string> paths,
                          bool by_checksum = false, std::stop_token stop = {}) {
    PullRequest request;
    request.remote_root = far.string();
    request.paths = std::move(paths);
    request.local_root = near;
    request.by_checksum = by_checksum;
    return boxes->transfer(box).value()->pull(request, stop);
  }
  // The box from now on: an sshd with SFTP, and no rsync on its PATH.
  void without_rsync() {
    const fs::path tools = sshd.folder() / "tools";
    fs::create_directories(tools);
    for (const auto& entry : fs::directory_iterator("/usr/bin")) {
      const std::string name = entry.path().filename();
      if (name != "rsync") fs::create_symlink(entry.path(), tools / name);
    }
    sshd.restart_with("Subsystem sftp internal-sftp\nSetEnv HOME=" +
                      (sshd.folder() / "home").string() + " PATH=" + tools.string() + "\n");
  }
  // Everything goes through `proxy` from now on.
  void go_through(const DelayProxy& proxy) { sshd.be_reached_at(proxy.port()); }
  // The link carries 4 MiB/s from now on.
  void slow_down() {
    sshd.write("rsync", "#!/bin/sh\nexec /usr/bin/rsync --bwlimit=4096 \"$@\"\n");
    fs::permissions(sshd.folder() / "rsync", fs::perms::owner_all);
    key = sshd.read("authorized_keys");
    sshd.write("authorized_keys", "command=\"PATH=" + sshd.folder().string() +
                                      ":$PATH; eval \\\"$SSH_ORIGINAL_COMMAND\\\"\" " + key);
  }
  void speed_up() { sshd.write("authorized_keys", key); }
  std::string key = {};
  std::uintmax_t largest_file() const {
    std::uintmax_t largest = 0;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(near, ignored)) {
      if (!entry.is_regular_file(ignored)) continue;
      const auto size = entry.file_size(ignored);
      if (!ignored) largest = std::max(largest, size);
    }
    return largest;
  }
  std::string got(const std::string& path) { return read_file(near / path, 1u << 30).value(); }
};

}  // namespace

TEST_CASE(
    "A pull brings exactly the named files, whatever they are called, from both kinds of box") {
  const std::string box = GENERATE(std::string("local"), std::string(LoopbackSshd::kAlias));
  Rig rig;
  const std::vector<std::string> names{"plain.pt",
                                       "with space.pt",
                                       "-dash",
                                       "quote's \"two\".pt",
                                       "new\nline",
                                       "$(touch x)",
                                       "deep/er/m.safetensors",
                                       "*",
                                       "ünïcode",
                                       "back\\slash"};
  for (const std::string& name : names) rig.put(name, "bytes of " + name);
  rig.put("not-wanted", "x");
  const auto report = rig.pull(box, names);
  INFO((report.ok() ? "" : report.error().message));
  REQUIRE(report);
  for (const std::string& name : names) CHECK(rig.got(name) == "bytes of " + name);
  CHECK_FALSE(fs::exists(rig.near / "not-wanted"));
  CHECK(report->files == names.size());
}

TEST_CASE("A file that is missing on the box is simply absent afterwards") {
  Rig rig;
  rig.put("there", "x");
  REQUIRE(rig.pull(LoopbackSshd::kAlias, {"there", "gone"}));
  CHECK(rig.got("there") == "x");
  CHECK_FALSE(fs::exists(rig.near / "gone"));
}

TEST_CASE(
    "A local file with the right size and time but other bytes is replaced when contents are "
    "compared") {
  Rig rig;
  rig.put("m.pt", "right bytes");
  REQUIRE(rig.pull("local", {"m.pt"}));
  const auto time = fs::last_write_time(rig.near / "m.pt");
  std::ofstream(rig.near / "m.pt") << "wrong bytes";
  fs::last_write_time(rig.near / "m.pt", time);
  REQUIRE(rig.pull(LoopbackSshd::kAlias, {"m.pt"}, true));
  CHECK(rig.got("m.pt") == "right bytes");
}

TEST_CASE("Paths that would leave the folder, and links that would lead out of it, are refused") {
  Rig rig;
  rig.put("a/m.pt", "x");
  for (const char* bad : {"../etc/passwd", "/etc/passwd", "a/../../x", ""}) {
    CHECK(rig.pull("local", {bad}).error().code == Code::refused);
  }
  fs::create_directories(rig.near);
  fs::create_directory_symlink(rig.folder.path(), rig.near / "a");
  for (const char* dodge : {"a/m.pt", "a/./m.pt", "./a/m.pt"})
    CHECK(rig.pull("local", {dodge}).error().code == Code::refused);
  CHECK_FALSE(fs::exists(rig.folder.path() / "m.pt"));
}

TEST_CASE("A path with needless dots in it is the same file") {
  Rig rig;
  rig.put("a/m.pt", "x");
  rig.put("run/a/m.pt", "y");
  REQUIRE(rig.pull(LoopbackSshd::kAlias, {"./a/./m.pt"}));
  CHECK(rig.got("a/m.pt") == "x");
  // rsync itself would write to a/m.pt here, past the check of run/a/m.pt for links.
  REQUIRE(rig.pull(LoopbackSshd::kAlias, {"run/./a/m.pt"}));
  CHECK(rig.got("a/m.pt") == "x");
  CHECK(rig.got("run/a/m.pt") == "y");
}

TEST_CASE("A link on the box is followed inside the folder and refused when it leads out of it") {
  const std::string box = GENERATE(std::string("local"), std::string(LoopbackSshd::kAlias));
  Rig rig;
  rig.put("step-9/m.pt", "x");
  rig.put("../secret\n", "not yours");
  fs::create_symlink("step-9/m.pt", rig.far / "best.pt");
  fs::create_directory_symlink("step-9", rig.far / "latest");
  REQUIRE(rig.pull(box, {"best.pt", "latest/m.pt"}));
  CHECK(rig.got("best.pt") == "x");
  CHECK(rig.got("latest/m.pt") == "x");
  fs::create_symlink("../secret\n", rig.far / "bait");
  fs::create_directory_symlink("..", rig.far / "up");
  for (const char* name : {"bait", "up/secret\n"}) {
    const auto refused = rig.pull(box, {"best.pt", name});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::refused);
    CHECK(refused.error().message.find("symbolic link") != std::string::npos);
    CHECK_FALSE(fs::exists(rig.near / name));
  }
}

TEST_CASE("A file that cannot be written here is an error, never a finished pull") {
  const std::string box = GENERATE(std::string("local"), std::string(LoopbackSshd::kAlias));
  Rig rig;
  rig.put("m.pt", "x");
  fs::create_directories(rig.near / "m.pt" / "in the way");
  const auto in_the_way = rig.pull(box, {"m.pt"});
  REQUIRE_FALSE(in_the_way);
  CHECK(in_the_way.error().code == Code::io);
}

TEST_CASE("Twenty thousand files are counted") {
  Rig rig;
  std::vector<std::string> names;
  for (int i = 0; i < 20000; ++i) names.push_back("shard-" + std::to_string(i));
  fs::create_directories(rig.far);
  for (const std::string& name : names) std::ofstream(rig.far / name) << name;
  const auto report = rig.pull(LoopbackSshd::kAlias, names);
  INFO((report.ok() ? "" : report.error().message));
  REQUIRE(report);
  CHECK(report->files == names.size());
  CHECK(report->bytes_received > 100000);
}

TEST_CASE("A comparison of contents that is silent longer than the idle limit is no dead link") {
  Rig rig;
  rig.put("m.pt", "right bytes");
  // A box whose rsync thinks for three seconds where one may be silent; the request asks for one.
  rig.sshd.write("rsync", "#!/bin/sh\nsleep 3\nexec /usr/bin/rsync \"$@\"\n");
  fs::permissions(rig.sshd.folder() / "rsync", fs::perms::owner_all);
  rig.sshd.write("authorized_keys", "command=\"PATH=" + rig.sshd.folder().string() +
                                        ":$PATH; eval \\\"$SSH_ORIGINAL_COMMAND\\\"\" " +
                                        rig.sshd.read("authorized_keys"));
  PullRequest request;
  request.remote_root = rig.far.string();
  request.paths = {"m.pt"};
  request.local_root = rig.near;
  request.idle_timeout = Seconds(1);
  request.by_checksum = true;
  const auto report = rig.boxes->transfer(LoopbackSshd::kAlias).value()->pull(request, {});
  INFO((report.ok() ? "" : report.error().message));
  CHECK(report.ok());
}

TEST_CASE("A pull from a box whose key is unknown says unknown, and changed only if it changed") {
  Rig rig;
  rig.put("m.pt", "x");
  rig.sshd.write("known_hosts", "");
  CHECK(rig.pull(LoopbackSshd::kAlias, {"m.pt"}).error().code == Code::host_key_unknown);
}

TEST_CASE("A pull that was cut by a stop request ends at once and goes on where it stopped") {
  Rig rig;
  std::string bytes(64u << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); i += 97) bytes[i] = static_cast<char>(i >> 7);
  rig.put("big.pt", bytes);
  rig.slow_down();
  std::stop_source source;
  Steady::time_point asked;
  std::jthread cutter([&] {
    // Cut as soon as something of it has arrived: at 4 MiB/s most of it has not.
    if (!eventually([&] { return rig.largest_file() > (1u << 20); })) return;
    asked = Steady::now();
    source.request_stop();
  });
  const auto cut = rig.pull(LoopbackSshd::kAlias, {"big.pt"}, false, source.get_token());
  cutter.join();
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == Code::cancelled);
  CHECK(seconds_since(asked) < 5);  // rsync has 2 s to put the part away
  rig.speed_up();
  const auto whole = rig.pull(LoopbackSshd::kAlias, {"big.pt"});
  REQUIRE(whole);
  CHECK(sha256_hex(rig.got("big.pt")) == sha256_hex(bytes));
  CHECK(whole->bytes_received < bytes.size());
}

namespace {

// 200 files of 256 KiB and a large one; no two blocks alike.
struct Tree {
  std::vector<std::string> names = {};
  std::vector<std::uint64_t> sizes = {};
  std::uint64_t bytes = 0;

  explicit Tree(Rig& rig) {
    std::uint32_t state = 1;
    const auto put = [&](const std::string& name, std::size_t size) {
      std::string text(size, '\0');
      for (std::size_t i = 0; i + 4 <= size; i += 4) {
        state = state * 1664525u + 1013904223u;
        text[i] = static_cast<char>(state >> 24);
        text[i + 2] = static_cast<char>(state >> 16);
      }
      rig.put(name, text);
      names.push_back(name);
      sizes.push_back(size);
      bytes += size;
    };
    for (int i = 0; i < 200; ++i) put("steps/" + std::to_string(i) + ".pt", 256u << 10);
    put("model.safetensors", 40u << 20);
  }
};

// Cut `cuts` times while it is under way; what came over the link in all.
std::uint64_t pull_with_cuts(Rig& rig, DelayProxy& proxy, const Tree& tree, int cuts) {
  fs::remove_all(rig.near);
  proxy.set_way(DelayProxy::Way::open);
  proxy.reset_counts();
  PullRequest request;
  request.remote_root = rig.far.string();
  request.paths = tree.names;
  request.sizes = tree.sizes;
  request.local_root = rig.near;
  const auto transfer = rig.boxes->transfer(LoopbackSshd::kAlias).value();
  for (int cut = 1; cut <= cuts; ++cut) {
    const std::uint64_t at =
        tree.bytes * static_cast<std::uint64_t>(cut) / static_cast<std::uint64_t>(cuts + 1);
    std::jthread cutter([&] {
      if (eventually([&] { return proxy.bytes_arrived() > at; }))
        proxy.set_way(DelayProxy::Way::cut);
    });
    const auto report = transfer->pull(request, {});
    cutter.join();
    REQUIRE_FALSE(report);
    INFO(report.error().message);
    CHECK(report.error().code == Code::unreachable);
    CHECK(report.error().next.find("goes on where it was cut") != std::string::npos);
    proxy.set_way(DelayProxy::Way::open);
  }
  const auto report = transfer->pull(request, {});
  INFO((report.ok() ? "" : report.error().message));
  REQUIRE(report);
  for (const std::string& name : tree.names) {
    REQUIRE(sha256_file(rig.near / name, {}).value() == sha256_file(rig.far / name, {}).value());
  }
  return proxy.bytes_arrived();
}

}  // namespace

// What was under way at a cut comes again, whatever the pull's size: 8 MiB in five cuts are 0.4 %
// of 2 GiB. It is 1 MB on an idle machine, and more where the receiver gets no CPU time.
constexpr std::uint64_t kAgainMost = 8u << 20;

TEST_CASE("A pull that was cut five times sends again only what was under way") {
  const bool by_sftp = GENERATE(false, true);
  INFO((by_sftp ? "SFTP" : "rsync"));
  Rig rig;
  if (by_sftp) rig.without_rsync();
  DelayProxy proxy(rig.sshd.port());
  rig.go_through(proxy);
  proxy.set_bytes_per_second(24u << 20);
  const Tree tree(rig);
  const std::uint64_t uncut = pull_with_cuts(rig, proxy, tree, 0);
  CHECK(proxy.connections() > 2);  // several streams
  const std::uint64_t cut = pull_with_cuts(rig, proxy, tree, 5);
  WARN((by_sftp ? "SFTP: " : "rsync: ")
       << uncut << " bytes came uncut, " << cut << " when cut five times");
  CHECK(cut < uncut + kAgainMost);
}

TEST_CASE("From a box without rsync a pull brings by SFTP what rsync would bring") {
  Rig rig;
  rig.without_rsync();
  const std::vector<std::string> names{"plain.pt", "-dash", "new\nline",  "deep/er/m.bin",
                                       "*",        "empty", "back\\slash"};
  for (const std::string& name : names) rig.put(name, "bytes of " + name);
  rig.put("empty", "");
  rig.put("big.pt", std::string((5u << 20) + 3, 'b'));
  std::vector<std::string> wanted = names;
  wanted.emplace_back("big.pt");
  wanted.emplace_back("gone");
  const auto report = rig.pull(LoopbackSshd::kAlias, wanted);
  INFO((report.ok() ? "" : report.error().message));
  REQUIRE(report);
  CHECK(report->files == names.size() + 1);
  for (const std::string& name : names)
    CHECK(rig.got(name) == (name == "empty" ? "" : "bytes of " + name));
  CHECK(rig.got("big.pt") == std::string((5u << 20) + 3, 'b'));
  CHECK_FALSE(fs::exists(rig.near / "gone"));

  SECTION("a first part that lies here is not sent again") {
    fs::resize_file(rig.near / "big.pt", 5u << 20);
    const auto rest = rig.pull(LoopbackSshd::kAlias, {"big.pt"});
    REQUIRE(rest);
    CHECK(rest->bytes_received == 3);
    CHECK(rig.got("big.pt") == std::string((5u << 20) + 3, 'b'));
  }
  SECTION("a file that failed a check is begun anew") {
    rig.put("plain.pt", "bytes of other!!");
    REQUIRE(rig.pull(LoopbackSshd::kAlias, {"plain.pt"}, true));
    CHECK(rig.got("plain.pt") == "bytes of other!!");
  }
  SECTION("a longer file here is begun anew") {
    std::ofstream(rig.near / "plain.pt") << "this is longer than what the box has";
    REQUIRE(rig.pull(LoopbackSshd::kAlias, {"plain.pt"}));
    CHECK(rig.got("plain.pt") == "bytes of plain.pt");
  }
  SECTION("a folder in the way is an error") {
    fs::remove(rig.near / "plain.pt");
    fs::create_directories(rig.near / "plain.pt" / "in the way");
    const auto in_the_way = rig.pull(LoopbackSshd::kAlias, {"plain.pt"});
    REQUIRE_FALSE(in_the_way);
    CHECK(in_the_way.error().code == Code::io);
  }
}

TEST_CASE("A pull by SFTP that is told to stop, or whose link goes silent, ends at once") {
  Rig rig;
  rig.without_rsync();
  DelayProxy proxy(rig.sshd.port());
  rig.go_through(proxy);
  proxy.set_bytes_per_second(4u << 20);
  rig.put("big.pt", std::string(64u << 20, 'b'));
  const bool stops = GENERATE(true, false);
  std::stop_source source;
  Steady::time_point asked;
  std::jthread other([&] {
    if (!eventually([&] { return rig.largest_file() > (1u << 20); })) return;
    asked = Steady::now();
    if (stops)
      source.request_stop();
    else
      proxy.set_way(DelayProxy::Way::silent);
  });
  PullRequest request;
  request.remote_root = rig.far.string();
  request.paths = {"big.pt"};
  request.local_root = rig.near;
  request.idle_timeout = Seconds(2);
  const auto report =
      rig.boxes->transfer(LoopbackSshd::kAlias).value()->pull(request, source.get_token());
  other.join();
  REQUIRE_FALSE(report);
  INFO(report.error().message);
  CHECK(report.error().code == (stops ? Code::cancelled : Code::unreachable));
  CHECK(seconds_since(asked) < 10);
  CHECK(rig.largest_file() > (1u << 20));  // kept for the next one
}

TEST_CASE("A box that is not there is unreachable, and the pull can be called again") {
  Rig rig;
  rig.put("m.pt", "x");
  rig.sshd.stop();
  const auto gone = rig.pull(LoopbackSshd::kAlias, {"m.pt"});
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Code::unreachable);
  CHECK(gone.error().next.find("goes on where it was cut") != std::string::npos);
}

TEST_CASE("A box without rsync is said to lack it") {
  Rig rig;
  rig.put("m.pt", "x");
  const std::string key = rig.sshd.read("authorized_keys");
  rig.sshd.write("authorized_keys", "command=\"PATH=" + rig.sshd.folder().string() +
                                        " /bin/sh -c \\\"$SSH_ORIGINAL_COMMAND\\\"\" " + key);
  fs::create_symlink("/bin/dd", rig.sshd.folder() / "dd");
  const auto report = rig.pull(LoopbackSshd::kAlias, {"m.pt"});
  REQUIRE_FALSE(report);
  CHECK(report.error().code == Code::missing_tool);
  CHECK(report.error().message.find("no SFTP") != std::string::npos);
  CHECK(report.error().next.find("apt-get install -y rsync") != std::string::npos);
  CHECK(report.error().next.find("RP6") != std::string::npos);  // where the address is a proxy's
}

}  // namespace rgt
