// SPDX-License-Identifier: MIT
// Pickles in the shapes that scanners have been fooled by, rebuilt with a marker for a payload:
// whatever ran one of them would make a file named kMarker. Each is refused in every container, and
// what it reaches for is named.
#include <fstream>

#include "core/artifact/unpickler.h"
#include "tests/core/artifact/artifact_fixture.h"
#include "tests/fuzz/memory_file.h"

namespace rgt {
namespace {

const std::string kMarker = "/tmp/rgt-attack-ran";

std::string nul(std::size_t count) { return std::string(count, '\0'); }
std::string byte(int value) { return std::string(1, static_cast<char>(value)); }
std::string text(const std::string& words) { return "X" + little(words.size(), 4) + words; }
std::string shorter(const std::string& words) {
  return "\x8c" + byte(static_cast<int>(words.size())) + words;
}
std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
std::string proto(int version) { return "\x80" + byte(version); }
const std::string kArgument = text("touch " + kMarker) + "\x85";

// The common shape: name, argument, REDUCE.
std::string call(const std::string& module, const std::string& name) {
  return proto(2) + global(module, name) + kArgument + "R.";
}

struct Attack {
  std::string shape, pickle, reaches;
};

std::vector<Attack> by_name() {
  const std::vector<std::pair<std::string, std::string>> names{
      {"os", "system"},
      {"posix", "system"},
      {"nt", "system"},
      {"os", "popen"},
      {"os", "execvp"},
      {"os", "spawnlp"},
      {"os.path", "os.system"},
      {"subprocess", "Popen"},
      {"subprocess", "getoutput"},
      {"_posixsubprocess", "fork_exec"},
      {"builtins", "eval"},
      {"builtins", "exec"},
      {"__builtin__", "eval"},
      {"__builtin__", "apply"},
      {"builtins", "getattr"},
      {"builtins", "__import__"},
      {"builtins", "compile"},
      {"builtins", "open"},
      {"builtins", "breakpoint"},
      {"builtins", "map"},
      {"runpy", "run_path"},
      {"runpy", "_run_code"},
      {"pty", "spawn"},
      {"socket", "create_connection"},
      {"importlib", "import_module"},
      {"importlib.util", "module_from_spec"},
      {"ctypes", "CDLL"},
      {"webbrowser", "open"},
      {"shutil", "rmtree"},
      {"pickle", "loads"},
      {"_pickle", "loads"},
      {"dill", "loads"},
      {"cloudpickle", "loads"},
      {"joblib", "load"},
      {"marshal", "loads"},
      {"torch", "load"},
      {"torch.hub", "load"},
      {"torch.jit", "load"},
      {"torch.serialization", "load"},
      {"torch.utils.cpp_extension", "load"},
      {"torch.utils.collect_env", "run"},
      {"torch.utils.bottleneck.__main__", "run_cprofile"},
      {"torch._inductor.codecache", "compile_file"},
      {"torch.distributed.rpc", "rpc_sync"},
      {"torch.fx.experimental.symbolic_shapes.ShapeEnv", "evaluate_guards_expression"},
      {"numpy", "load"},
      {"numpy.f2py.crackfortran", "getlincoef"},
      {"numpy.f2py.crackfortran", "_eval_length"},
      {"numpy.f2py.diagnose", "run_command"},
      {"numpy.testing._private.utils", "runstring"},
      {"numpy.distutils.exec_command", "exec_command"},
      {"timeit", "timeit"},
      {"cProfile", "runctx"},
      {"profile", "run"},
      {"trace", "Trace.run"},
      {"pdb", "runeval"},
      {"bdb", "Bdb.run"},
      {"code", "InteractiveInterpreter.runcode"},
      {"codeop", "compile_command"},
      {"asyncio.unix_events", "_UnixSubprocessTransport._start"},
      {"functools", "partial"},
      {"functools", "reduce"},
      {"operator", "attrgetter"},
      {"operator", "methodcaller"},
      {"_operator", "itemgetter"},
      {"itertools", "starmap"},
      {"multiprocessing.util", "spawnv_passfds"},
      {"concurrent.futures", "ThreadPoolExecutor"},
      {"threading", "Thread"},
      {"idlelib.pyshell", "ModifiedInterpreter.runcode"},
      {"idlelib.autocomplete", "AutoComplete.get_entity"},
      {"idlelib.run", "Executive.runcode"},
      {"lib2to3.pgen2.grammar", "Grammar.loads"},
      {"lib2to3.pgen2.pgen", "ParserGenerator.make_label"},
      {"ensurepip", "_run_pip"},
      {"pip", "main"},
      {"pip._internal.cli.main", "main"},
      {"venv", "create"},
      {"doctest", "debug_script"},
      {"pydoc", "pipepager"},
      {"pydoc", "locate"},
      {"pkgutil", "resolve_name"},
      {"zipimport", "zipimporter"},
      {"site", "execsitecustomize"},
      {"sysconfig", "_main"},
      {"sys", "settrace"},
      {"signal", "raise_signal"},
      {"logging.config", "listen"},
      {"uuid", "_get_command_stdout"},
      {"imaplib", "IMAP4_stream"},
      {"_pyrepl.pager", "pipe_pager"},
      {"_osx_support", "_read_output"},
      {"_aix_support", "_read_cmd_output"},
      {"distutils.file_util", "write_file"},
      {"distutils.spawn", "spawn"},
      {"urllib.request", "urlretrieve"},
      {"requests", "get"},
      {"aiohttp", "ClientSession"},
      {"http.client", "HTTPSConnection"},
      {"ftplib", "FTP"},
      {"smtplib", "SMTP"},
      {"ssl", "get_server_certificate"},
      {"tempfile", "mktemp"},
      {"fileinput", "input"},
      {"io", "FileIO"},
      {"_io", "open_code"},
      {"ast", "literal_eval"},
      {"inspect", "getsource"},
      {"unittest.mock", "_importer"},
      {"tkinter", "Tcl"},
      {"antigravity", "webbrowser.open"}};
  std::vector<Attack> attacks;
  for (const auto& [module, name] : names)
    attacks.push_back({module + "." + name, call(module, name), module + "." + name});
  return attacks;
}

// The same few names by every road that opcodes offer.
std::vector<Attack> by_opcode() {
  const std::string command = text("touch " + kMarker);
  const std::string system = global("os", "system");
  const auto memo = [](int at) { return "q" + byte(at); };
  const auto recall = [](int at) { return "h" + byte(at); };
  return {
      {"pushed, never called", proto(2) + system + "0N.", "os.system"},
      {"protocol 0, all text", "cos\nsystem\n(S'touch " + kMarker + "'\ntR.", "os.system"},
      {"protocol 1", "cos\nsystem\n(U\x02idtR.", "os.system"},
      {"INST", proto(2) + "(" + command + "ios\nsystem\n.", "os.system"},
      {"OBJ", proto(2) + "(" + system + command + "o.", "os.system"},
      {"OBJ, popped again", proto(2) + "(" + system + command + "o0N.", "os.system"},
      {"NEWOBJ", proto(2) + global("subprocess", "Popen") + kArgument + "\x81.",
       "subprocess.Popen"},
      {"NEWOBJ_EX", proto(4) + global("subprocess", "Popen") + kArgument + "}\x92.",
       "subprocess.Popen"},
      {"STACK_GLOBAL", proto(4) + shorter("os") + shorter("system") + "\x93" + kArgument + "R.",
       "os.system"},
      {"STACK_GLOBAL from old text", proto(4) + "S'o\\x73'\nV\\u0073ystem\n\x93" + kArgument + "R.",
       "os.system"},
      {"STACK_GLOBAL from the memo",
       proto(4) + shorter("system") + memo(1) + "0" + shorter("os") + memo(2) + "0" + recall(2) +
           recall(1) + "\x93" + kArgument + "R.",
       "os.system"},
      {"a memo entry overwritten",
       proto(4) + shorter("math") + memo(1) + "0" + shorter("os") + memo(1) + "0" + recall(1) +
           shorter("system") + "\x93" + kArgument + "R.",
       "os.system"},
      {"STACK_GLOBAL under DUP",
       proto(4) + shorter("os") + shorter("system") + "\x93" + "2" + "0" + kArgument + "R.",
       "os.system"},
      {"BUILD calls __setstate__",
       proto(2) + "ctorch\nTensor\n)\x81}" + text("__setstate__") + system + "sb" + command + "b.",
       "os.system"},
      {"in a dictionary's key", proto(2) + "}" + system + "Ns.", "os.system"},
      {"as a persistent id",
       proto(2) + "(" + text("storage") + system + text("0") + text("cpu") + "K\x01tQ.",
       "os.system"},
      {"as a tensor's hooks",
       proto(2) + "ctorch._utils\n_rebuild_tensor_v2\n(NK" + nul(1) + "))\x89" + system + "tR.",
       "os.system"},
      {"as _rebuild_from_type_v2's function",
       proto(2) + "ctorch._tensor\n_rebuild_from_type_v2\n(" + system + "ctorch\nTensor\n" +
           kArgument + "}tR.",
       "os.system"},
      {"dotted through torch", proto(4) + shorter("torch") + shorter("_utils.os.system") + "\x93.",
       "torch._utils.os.system"},
      {"dotted through collections",
       proto(4) + shorter("collections") + shorter("_sys.modules") + "\x93.", "collections"},
      {"dotted through a class",
       proto(4) + shorter("collections") + shorter("OrderedDict.__init__.__globals__") + "\x93.",
       "__globals__"},
      {"look-alike letters",
       proto(4) + shorter("\xd0\xbes") + shorter("system") + "\x93" + kArgument + "R.", "system"},
      {"broken behind the call", proto(2) + system + kArgument + "R\xff\xff", "os.system"},
      {"cut behind the call", proto(2) + system + kArgument + "R", "os.system"},
      {"a second pickle behind STOP", proto(2) + "N." + call("os", "system"), "os.system"},
      {"a frame that lies", proto(4) + "\x95" + little(3, 8) + system + kArgument + "R.",
       "os.system"},
      {"a frame of 2^64", proto(4) + "\x95" + std::string(8, '\xff') + system + kArgument + "R.",
       "os.system"},
      {"the protocol said twice", proto(2) + proto(4) + system + kArgument + "R.", "os.system"},
      {"no protocol at all, in an archive", system + kArgument + "R.", "os.system"},
      {"partial of partial",
       proto(2) + global("functools", "partial") + "(" + global("functools", "partial") + system +
           "tR" + kArgument + "R.",
       "functools.partial"},
      {"getattr on a module",
       proto(2) + global("builtins", "getattr") + "(" + global("importlib", "import_module") +
           text("os") + "\x85R" + text("system") + "tR.",
       "builtins.getattr"},
      {"EXT1", proto(2) + "\x82\x01" + kArgument + "R.", "copyreg.extension"},
      {"EXT2", proto(2) + "\x83\x01\x01" + kArgument + "R.", "copyreg.extension"},
      {"EXT4", proto(2) + "\x84\x01\x01\x01\x01" + kArgument + "R.", "copyreg.extension"},
      {"registering an extension", proto(2) + global("copyreg", "add_extension") + kArgument + "R.",
       "copyreg.add_extension"},
  };
}

// No name to give, but nothing that torch ever wrote: refused, whatever way.
std::vector<Attack> without_name() {
  std::string memo_laughs = proto(2) + "(NtR";  // a call on nothing
  std::string dups = proto(2) + "]";
  dups += std::string(6000000, '2');
  return {
      {"a persistent id in text", proto(2) + "Pos.system\n.", ""},
      {"a persistent id that is a number", proto(2) + "K\x01Q.", ""},
      {"STACK_GLOBAL on numbers", proto(4) + "K\x01K\x02\x93.", ""},
      {"REDUCE on nothing", memo_laughs, ""},
      {"a memo index of 2^31", proto(2) + "Nr\xff\xff\xff\x7f.", ""},
      {"a memo index in text", proto(2) + "Np99999999999\n.", ""},
      {"a negative memo index", proto(2) + "Np-1\n.", ""},
      {"a number of negative length", proto(2) + "\x8b\xff\xff\xff\xff.", ""},
      {"a number of 2 GiB", proto(2) + "\x8b\xff\xff\xff\x7f.", ""},
      {"bytes of 2^63", proto(4) + "\x8e" + nul(7) + "\x80.", ""},
      {"text of 4 GiB", proto(2) + "X\xff\xff\xff\xff.", ""},
      {"a million lists", proto(2) + std::string(3000000, ']') + ".", ""},
      {"marks without end", proto(2) + std::string(5000000, '(') + ".", ""},
      {"millions of copies", dups + ".", ""},
      {"a name without end", proto(2) + "c" + std::string(100000, 'a') + "\nb\n.", ""},
      {"a protocol of the future", proto(9) + "N.", ""},
      {"keys in a tuple", proto(2) + ")" + text("k") + "Ns.", ""},
  };
}

std::string in_archive(const std::string& pickle) {
  return zip_of({{"a/data.pkl", pickle}, {"a/version", "3\n"}});
}

const std::string kHarmless = "\x80\x02}.";

// Where a pickle can be put, so that some loader meets it.
std::vector<std::pair<std::string, std::string>> containers(const std::string& pickle) {
  return {
      {"data.pkl", in_archive(pickle)},
      {"constants.pkl",
       zip_of({{"a/data.pkl", kHarmless}, {"a/constants.pkl", pickle}, {"a/version", "3\n"}})},
      {"the old format, as the object",
       std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19.", 15) + "\x80\x02M\xe9\x03." +
           kHarmless + pickle},
  };
}

// The most this process has had in memory, in KiB.
std::size_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
  }
  return 0;
}

}  // namespace

TEST_CASE(
    "Every published shape of attack is refused and named, in every container, and none runs") {
  std::filesystem::remove(kMarker);
  std::vector<Attack> attacks = by_name();
  for (Attack& attack : by_opcode()) attacks.push_back(std::move(attack));
  CHECK(attacks.size() >= 140);
  for (const Attack& attack : attacks) {
    for (const auto& [where, bytes] : containers(attack.pickle)) {
      INFO(attack.shape << " in " << where);
      const ArtifactReport report = check_bytes("model.pt", bytes);
      CHECK(report.verdict != ArtifactVerdict::ok);
      CHECK(says(report, attack.reaches));
    }
  }
  CHECK_FALSE(std::filesystem::exists(kMarker));
}

TEST_CASE("Names that reach the system are called attacks, not only unproven") {
  for (const Attack& attack : by_name()) {
    INFO(attack.shape);
    CHECK(check_bytes("model.pt", in_archive(attack.pickle)).verdict == ArtifactVerdict::hostile);
    // Also in a member that nothing names, and whose case only torch does not mind.
    const ArtifactReport hidden = check_bytes("model.pt", zip_of({{"a/data.pkl", kHarmless},
                                                                  {"a/extra/X.PKL", attack.pickle},
                                                                  {"a/version", "3\n"}}));
    CHECK(hidden.verdict == ArtifactVerdict::hostile);
    CHECK(says(hidden, attack.reaches));
  }
}

TEST_CASE("Pickles made to exhaust their reader are refused within its bounds") {
  for (const Attack& attack : without_name()) {
    INFO(attack.shape);
    const std::size_t before = peak_memory();
    CHECK(check_bytes("model.pt", in_archive(attack.pickle)).verdict != ArtifactVerdict::ok);
    // The bounds on values, items and memo together come to less; the sanitizer's own share counts.
    CHECK(peak_memory() - before < 768u << 10);
  }
}

TEST_CASE("A tuple of 2^60 leaves costs what its sixty lines cost") {
  std::string laughs = ")q" + nul(1);
  for (int i = 0; i < 60; ++i) laughs += "0h" + nul(1) + "h" + nul(1) + "\x86q" + nul(1);
  const std::string pickle = proto(2) + "}(" + text("model") + laughs + text("optimizer") + "}u.";
  CHECK(read_pickle(pickle)->values.size() < 100);
  CHECK(says(check_bytes("model.pt", in_archive(pickle)), "it holds no tensor"));
}

TEST_CASE("An attack in a nested archive or in text is not reached, and the archive is told of") {
  const std::string nested = zip_of({{"a/data.pkl", kHarmless},
                                     {"a/data/7", in_archive(call("os", "system"))},
                                     {"a/version", "3\n"}});
  const ArtifactReport report = check_bytes("model.pt", nested);
  CHECK(says(report, "an archive within the archive"));
  CHECK(says(report, "belong to no tensor"));
}

}  // namespace rgt
