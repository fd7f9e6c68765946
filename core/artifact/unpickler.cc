// SPDX-License-Identifier: MIT
#include "core/artifact/unpickler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "core/artifact/file_bytes.h"
#include "core/base/text.h"

namespace rgt {
namespace {

using Kind = PickleValue::Kind;

// A 400-billion-parameter sharded checkpoint's index has under 100,000 values.
constexpr std::size_t kValuesMost = 1000000;
constexpr std::size_t kItemsMost = 4000000;   // entries of all containers together
constexpr std::size_t kStepsMost = 20000000;  // opcodes
constexpr std::size_t kMemoMost = 2000000;    // the highest memo index
constexpr std::size_t kGlobalsMost = 10000;   // distinct names; real checkpoints have dozens

struct Stop {
  Error error;
};

[[noreturn]] void broken(std::size_t at, const std::string& what) {
  throw Stop{
      {Code::corrupt, "pickle: " + what + " at byte " + std::to_string(at), "the file is damaged"}};
}
[[noreturn]] void too_much(const std::string& what) {
  throw Stop{{Code::limit, "pickle: more " + what + " than any real checkpoint has",
              "the file was made to exhaust its reader"}};
}

std::string unquoted(const std::string& text) {
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '\'' || text.front() == '"');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

// Python's escapes that can spell a name: \\xHH \\OOO \\uHHHH \\UHHHHHHHH. Others stay as they are
// written.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char kind = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    const bool octal = kind >= '0' && kind <= '7';
    const std::size_t width = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : octal ? 3 : 0;
    const std::size_t from = i + (octal ? 1 : 2);
    const char* begin = text.data() + std::min(from, text.size());
    const char* limit = text.data() + std::min(from + width, text.size());
    unsigned value = 0;
    const auto [end, error] = std::from_chars(begin, limit, value, octal ? 8 : 16);
    if (width == 0 || error != std::errc{} || value > 0x7F || (!octal && end != begin + width)) {
      plain += text[i];
      if (kind == '\\') ++i;
      continue;
    }
    plain += static_cast<char>(value);
    i = static_cast<std::size_t>(end - text.data()) - 1;
  }
  return plain;
}

class Machine {
 public:
  explicit Machine(std::string_view bytes) : cursor_(bytes) {}

  const std::set<std::string>& globals() const { return globals_; }

  Pickle run() {
    for (std::size_t steps = 0;; ++steps) {
      if (steps == kStepsMost) too_much("steps");
      const auto code = static_cast<unsigned char>(byte());
      if (code == '.') break;
      step(code);
    }
    if (stack_.empty()) broken(cursor_.at(), "STOP with nothing on the stack");
    pickle_.root = stack_.back();
    pickle_.size = cursor_.at();
    pickle_.globals.assign(globals_.begin(), globals_.end());
    return std::move(pickle_);
  }

 private:
  // ---- reading
  char byte() { return take(1)[0]; }
  std::string_view take(std::uint64_t count) {
    const std::string_view part = cursor_.take(count);
    if (!cursor_.ok()) broken(cursor_.at(), "it ends too early");
    return part;
  }
  std::uint64_t number(std::size_t width) {
    const std::uint64_t value = cursor_.little(width);
    if (!cursor_.ok()) broken(cursor_.at(), "it ends too early");
    return value;
  }
  std::string line() {
    std::string text;
    for (char c = byte(); c != '\n'; c = byte()) {
      text += c;
      if (text.size() > 4096) broken(cursor_.at(), "a line without end");
    }
    if (!text.empty() && text.back() == '\r') text.pop_back();
    return text;
  }

  // ---- building
  PickleRef make(Kind kind, std::int64_t integer = 0, std::string text = {}) {
    if (pickle_.values.size() == kValuesMost) too_much("values");
    PickleValue value;
    value.kind = kind;
    value.integer = integer;
    value.text = std::move(text);
    pickle_.values.push_back(std::move(value));
    return static_cast<PickleRef>(pickle_.values.size() - 1);
  }
  void push(PickleRef value) {
    if (stack_.size() == kItemsMost) too_much("stack");
    stack_.push_back(value);
  }
  void push_new(Kind kind, std::int64_t integer = 0, std::string text = {}) {
    push(make(kind, integer, std::move(text)));
  }
  PickleRef pop() {
    if (stack_.size() <= floor()) broken(cursor_.at(), "an opcode finds nothing on the stack");
    const PickleRef value = stack_.back();
    stack_.pop_back();
    return value;
  }
  PickleRef top() {
    if (stack_.size() <= floor()) broken(cursor_.at(), "an opcode finds nothing on the stack");
    return stack_.back();
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<PickleRef> pop_to_mark() {
    if (marks_.empty()) broken(cursor_.at(), "an opcode finds no mark");
    const std::size_t from = marks_.back();
    marks_.pop_back();
    if (from > stack_.size()) broken(cursor_.at(), "a mark above the stack");
    std::vector<PickleRef> items(stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
    stack_.resize(from);
    return items;
  }
  void add_items(PickleRef to, const std::vector<PickleRef>& items) {
    items_ += items.size();
    if (items_ > kItemsMost) too_much("items");
    std::vector<PickleRef>& held = pickle_.values[to].items;
    held.insert(held.end(), items.begin(), items.end());
  }
  // A call may be any object. torch 2.9 wrote keys into whatever stood there (CVE-2026-24747).
  void add_to(std::initializer_list<Kind> allowed, PickleRef to,
              const std::vector<PickleRef>& items) {
    const Kind kind = pickle_.values[to].kind;
    if (kind == Kind::call && allowed.size() > 0 &&
        pickle_.values[pickle_.values[to].items[0]].text.starts_with("torch")) {
      broken(cursor_.at(), "keys or items are added to a tensor");
    }
    if (kind != Kind::call && std::find(allowed.begin(), allowed.end(), kind) == allowed.end())
      broken(cursor_.at(), "an opcode adds to a value that takes nothing");
    add_items(to, items);
  }
  void push_container(Kind kind, const std::vector<PickleRef>& items) {
    const PickleRef made = make(kind);
    add_items(made, items);
    push(made);
  }
  void push_global(const std::string& module, const std::string& name) {
    const std::string both = module + " " + name;
    globals_.insert(both);  // before the bound: the name that breaks it counts as seen
    if (globals_.size() > kGlobalsMost) too_much("names");
    push_new(Kind::global, 0, both);
  }
  // What would be called, with what: a node, nothing more.
  void push_call(PickleRef callable, PickleRef arguments) {
    push_container(Kind::call, {callable, arguments});
  }

  void remember(std::uint64_t index) {
    if (index > kMemoMost) too_much("memo");
    if (memo_.size() <= index) memo_.resize(static_cast<std::size_t>(index) + 1);
    memo_[static_cast<std::size_t>(index)] = top();
  }
  void recall(std::uint64_t index) {
    if (index >= memo_.size() || !memo_[static_cast<std::size_t>(index)])
      broken(cursor_.at(), "it recalls what was never remembered");
    push(*memo_[static_cast<std::size_t>(index)]);
  }

  void push_long(std::uint64_t size) {
    const std::string_view bytes = take(size);
    std::uint64_t value = 0;
    const bool negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
    if (bytes.size() > 8) {
      push_new(Kind::integer, negative ? std::numeric_limits<std::int64_t>::min()
                                       : std::numeric_limits<std::int64_t>::max());
      return;
    }
    for (std::size_t i = bytes.size(); i > 0; --i)
      value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
    if (negative && bytes.size() < 8) value |= ~std::uint64_t{0} << (bytes.size() * 8);
    push_new(Kind::integer, static_cast<std::int64_t>(value));
  }
  void push_decimal(const std::string& text) {
    std::string digits = text;
    if (!digits.empty() && digits.back() == 'L') digits.pop_back();
    if (text == "00" || text == "01") return push_new(Kind::boolean, text == "01");
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc::result_out_of_range)
      value = std::numeric_limits<std::int64_t>::max();
    else if (error != std::errc{} || end != digits.data() + digits.size())
      broken(cursor_.at(), "a number that is none");
    push_new(Kind::integer, value);
  }

  void step(unsigned char code) {
    if (step_constant(code) || step_text(code) || step_container(code) || step_memo(code) ||
        step_object(code))
      return;
    broken(cursor_.at() - 1, "unknown opcode " + std::to_string(code));
  }

  bool step_constant(unsigned char code) {
    switch (code) {
      case 0x80:
        pickle_.protocol = static_cast<int>(number(1));
        if (pickle_.protocol > 5) broken(cursor_.at(), "a protocol above 5");
        return true;
      case 0x95: number(8); return true;  // FRAME: only a hint
      case 'N': push_new(Kind::none); return true;
      case 0x88: push_new(Kind::boolean, 1); return true;
      case 0x89: push_new(Kind::boolean, 0); return true;
      case 'J': push_new(Kind::integer, static_cast<std::int32_t>(number(4))); return true;
      case 'K': push_new(Kind::integer, static_cast<std::int64_t>(number(1))); return true;
      case 'M': push_new(Kind::integer, static_cast<std::int64_t>(number(2))); return true;
      case 0x8a: push_long(number(1)); return true;
      case 0x8b: push_long(number(4)); return true;
      case 'I':
      case 'L': push_decimal(line()); return true;
      case 'G':
        push_new(Kind::real, static_cast<std::int64_t>(__builtin_bswap64(number(8))));
        return true;
      case 'F':
        push_new(Kind::real, std::bit_cast<std::int64_t>(parse_double(line()).value_or(0)));
        return true;
      default: return false;
    }
  }

  bool step_text(unsigned char code) {
    switch (code) {
      case 'X': push_new(Kind::text, 0, std::string(take(number(4)))); return true;
      case 0x8c: push_new(Kind::text, 0, std::string(take(number(1)))); return true;
      case 0x8d: push_new(Kind::text, 0, std::string(take(number(8)))); return true;
      case 'S': push_new(Kind::text, 0, unescaped(unquoted(line()))); return true;
      case 'V': push_new(Kind::text, 0, unescaped(line())); return true;
      case 'U': push_new(Kind::text, 0, std::string(take(number(1)))); return true;
      case 'T': push_new(Kind::text, 0, std::string(take(number(4)))); return true;
      case 'C': push_new(Kind::bytes, 0, std::string(take(number(1)))); return true;
      case 'B': push_new(Kind::bytes, 0, std::string(take(number(4)))); return true;
      case 0x8e:
      case 0x96: push_new(Kind::bytes, 0, std::string(take(number(8)))); return true;
      case 0x97: push_new(Kind::bytes); return true;  // NEXT_BUFFER: bytes from outside
      case 0x98: top(); return true;                  // READONLY_BUFFER
      default: return false;
    }
  }

  bool step_container(unsigned char code) {
    switch (code) {
      case '(':
        if (marks_.size() == kItemsMost) too_much("marks");
        marks_.push_back(stack_.size());
        return true;
      case ')': push_new(Kind::tuple); return true;
      case ']': push_new(Kind::list); return true;
      case '}': push_new(Kind::dict); return true;
      case 0x8f: push_new(Kind::set); return true;
      case 't': push_container(Kind::tuple, pop_to_mark()); return true;
      case 'l': push_container(Kind::list, pop_to_mark()); return true;
      case 'd': push_container(Kind::dict, pop_to_mark()); return true;
      case 0x91: push_container(Kind::set, pop_to_mark()); return true;
      case 0x85: {
        const PickleRef a = pop();
        push_container(Kind::tuple, {a});
        return true;
      }
      case 0x86: {
        const PickleRef b = pop(), a = pop();
        push_container(Kind::tuple, {a, b});
        return true;
      }
      case 0x87: {
        const PickleRef c = pop(), b = pop(), a = pop();
        push_container(Kind::tuple, {a, b, c});
        return true;
      }
      case 'a': {
        const PickleRef item = pop();
        add_to({Kind::list}, top(), {item});
        return true;
      }
      case 'e': {
        const auto items = pop_to_mark();
        add_to({Kind::list}, top(), items);
        return true;
      }
      case 'u': {
        const auto items = pop_to_mark();
        if (items.size() % 2 != 0) broken(cursor_.at(), "a key without a value");
        add_to({Kind::dict}, top(), items);
        return true;
      }
      case 0x90: {
        const auto items = pop_to_mark();
        add_to({Kind::set}, top(), items);
        return true;
      }
      case 's': {
        const PickleRef value = pop(), key = pop();
        add_to({Kind::dict}, top(), {key, value});
        return true;
      }
      case '0':
        if (!marks_.empty() && stack_.size() == marks_.back())
          marks_.pop_back();
        else
          pop();
        return true;
      case '1': pop_to_mark(); return true;
      case '2': push(top()); return true;
      default: return false;
    }
  }

  bool step_memo(unsigned char code) {
    switch (code) {
      case 'q': remember(number(1)); return true;
      case 'r': remember(number(4)); return true;
      case 0x94: remember(memo_.size()); return true;
      case 'p': {
        const auto index = parse_uint(line());
        if (!index) broken(cursor_.at(), "a memo index that is none");
        remember(*index);
        return true;
      }
      case 'h': recall(number(1)); return true;
      case 'j': recall(number(4)); return true;
      case 'g': {
        const auto index = parse_uint(line());
        if (!index) broken(cursor_.at(), "a memo index that is none");
        recall(*index);
        return true;
      }
      default: return false;
    }
  }

  bool step_object(unsigned char code) {
    switch (code) {
      case 'c': {
        const std::string module = line(), name = line();
        push_global(module, name);
        return true;
      }
      case 0x93: {
        const PickleRef name = pop(), module = pop();
        const bool texts =
            pickle_.values[name].kind == Kind::text && pickle_.values[module].kind == Kind::text;
        if (!texts) broken(cursor_.at(), "a global whose name is no text");
        const std::string module_text = pickle_.values[module].text,
                          name_text = pickle_.values[name].text;
        push_global(module_text, name_text);
        return true;
      }
      case 0x82:
        number(1);
        push_global("copyreg", "extension");
        return true;
      case 0x83:
        number(2);
        push_global("copyreg", "extension");
        return true;
      case 0x84:
        number(4);
        push_global("copyreg", "extension");
        return true;
      case 'R':
      case 0x81: {
        const PickleRef arguments = pop(), callable = pop();
        push_call(callable, arguments);
        return true;
      }
      case 0x92: {
        pop();
        const PickleRef arguments = pop(), callable = pop();
        push_call(callable, arguments);
        return true;
      }
      case 'o': {
        const auto items = pop_to_mark();
        if (items.empty()) broken(cursor_.at(), "an object without a class");
        const PickleRef arguments = make(Kind::tuple);
        add_items(arguments, {items.begin() + 1, items.end()});
        push_call(items[0], arguments);
        return true;
      }
      case 'i': {
        const std::string module = line(), name = line();
        const auto items = pop_to_mark();
        push_global(module, name);
        const PickleRef callable = pop(), arguments = make(Kind::tuple);
        add_items(arguments, items);
        push_call(callable, arguments);
        return true;
      }
      case 'b': {
        const PickleRef state = pop();
        add_to({}, top(), {state});
        return true;
      }
      case 'Q': {
        const PickleRef id = pop();
        push_container(Kind::persistent, {id});
        return true;
      }
      case 'P': {
        const std::string id = line();
        const PickleRef text = make(Kind::text, 0, id);
        push_container(Kind::persistent, {text});
        return true;
      }
      default: return false;
    }
  }

  Cursor cursor_;
  Pickle pickle_ = {};
  std::vector<PickleRef> stack_ = {};
  std::vector<std::size_t> marks_ = {};
  std::vector<std::optional<PickleRef>> memo_ = {};
  std::set<std::string> globals_ = {};
  std::size_t items_ = 0;
};

// Modules that reach processes, files, the network, other code, or another unpickler.
bool is_dangerous_module(std::string_view module) {
  static const std::set<std::string, std::less<>> roots{"os",
                                                        "posix",
                                                        "nt",
                                                        "ntpath",
                                                        "posixpath",
                                                        "sys",
                                                        "subprocess",
                                                        "shutil",
                                                        "socket",
                                                        "ssl",
                                                        "runpy",
                                                        "importlib",
                                                        "imp",
                                                        "pickle",
                                                        "_pickle",
                                                        "cPickle",
                                                        "dill",
                                                        "cloudpickle",
                                                        "joblib",
                                                        "marshal",
                                                        "shelve",
                                                        "ctypes",
                                                        "_ctypes",
                                                        "cffi",
                                                        "code",
                                                        "codeop",
                                                        "pty",
                                                        "tty",
                                                        "fcntl",
                                                        "signal",
                                                        "webbrowser",
                                                        "urllib",
                                                        "urllib2",
                                                        "requests",
                                                        "http",
                                                        "httplib",
                                                        "ftplib",
                                                        "smtplib",
                                                        "telnetlib",
                                                        "asyncio",
                                                        "multiprocessing",
                                                        "threading",
                                                        "_thread",
                                                        "concurrent",
                                                        "commands",
                                                        "popen2",
                                                        "platform",
                                                        "pip",
                                                        "ensurepip",
                                                        "pkgutil",
                                                        "zipimport",
                                                        "site",
                                                        "sysconfig",
                                                        "venv",
                                                        "tempfile",
                                                        "glob",
                                                        "fileinput",
                                                        "pathlib2",
                                                        "pdb",
                                                        "bdb",
                                                        "cProfile",
                                                        "profile",
                                                        "timeit",
                                                        "trace",
                                                        "doctest",
                                                        "unittest",
                                                        "idlelib",
                                                        "lib2to3",
                                                        "distutils",
                                                        "setuptools",
                                                        "inspect",
                                                        "operator",
                                                        "_operator",
                                                        "itertools",
                                                        "ast",
                                                        "compileall",
                                                        "py_compile",
                                                        "aiohttp",
                                                        "paramiko",
                                                        "fabric",
                                                        "invoke",
                                                        "sh",
                                                        "plumbum",
                                                        "pexpect",
                                                        "win32api",
                                                        "winreg",
                                                        "_winapi",
                                                        "msvcrt",
                                                        "xmlrpc",
                                                        "getpass",
                                                        "readline",
                                                        "rlcompleter",
                                                        "dotenv",
                                                        "antigravity",
                                                        "turtle",
                                                        "tkinter",
                                                        "functools",
                                                        "uuid",
                                                        "imaplib",
                                                        "poplib",
                                                        "nntplib",
                                                        "socketserver",
                                                        "_pyrepl",
                                                        "pydoc",
                                                        "atexit",
                                                        "gc",
                                                        "_posixsubprocess",
                                                        "_osx_support",
                                                        "_aix_support",
                                                        "selectors",
                                                        "mmap",
                                                        "cgi",
                                                        "cgitb",
                                                        "wsgiref",
                                                        "sqlite3",
                                                        "zipfile",
                                                        "tarfile",
                                                        "bz2",
                                                        "gzip",
                                                        "lzma",
                                                        "nturl2path",
                                                        "logging",
                                                        "pkg_resources",
                                                        "numba",
                                                        "jedi",
                                                        "IPython",
                                                        "linecache",
                                                        "tracemalloc",
                                                        "test",
                                                        "_testcapi",
                                                        "winsound",
                                                        "mailcap",
                                                        "crypt",
                                                        "pipes",
                                                        "dbm",
                                                        "_dbm"};
  const std::string_view root = module.substr(0, module.find('.'));
  return roots.contains(root);
}

bool is_dangerous_builtin(std::string_view name) {
  static const std::set<std::string, std::less<>> names{
      "eval",        "exec",         "execfile", "compile", "open",       "file",    "input",
      "raw_input",   "__import__",   "getattr",  "setattr", "delattr",    "hasattr", "globals",
      "locals",      "vars",         "dir",      "apply",   "map",        "filter",  "reduce",
      "breakpoint",  "exit",         "quit",     "help",    "memoryview", "super",   "type",
      "classmethod", "staticmethod", "property", "iter",    "next",       "reload",  "print",
      "callable",    "buffer",       "intern"};
  return names.contains(name.substr(0, name.find('.')));
}

bool is_dangerous_torch(std::string_view module, std::string_view name) {
  static const std::set<std::string, std::less<>> modules{"torch.hub",
                                                          "torch.jit",
                                                          "torch.serialization",
                                                          "torch.package",
                                                          "torch.utils.cpp_extension",
                                                          "torch._inductor",
                                                          "torch.distributed.rpc",
                                                          "torch.utils._config_module",
                                                          "torch._dynamo",
                                                          "torch.fx",
                                                          "torch.storage",
                                                          "torch.multiprocessing",
                                                          "torch.utils.bottleneck",
                                                          "torch.utils.data.datapipes",
                                                          "torch.utils.collect_env",
                                                          "torch.utils.model_zoo",
                                                          "torch._export",
                                                          "torch.export"};
  if (module == "torch.storage" && (name == "UntypedStorage" || name == "TypedStorage" ||
                                    name == "_TypedStorage" || name == "_UntypedStorage"))
    return false;
  if (module == "torch.serialization" && name == "_get_layout") return false;
  if (module == "torch" && (name == "load" || name == "save" || name == "compile" || name == "hub"))
    return true;
  for (const std::string& dangerous : modules) {
    if (module == dangerous || module.starts_with(dangerous + ".")) return true;
  }
  return false;
}

bool is_tensor_global(std::string_view module, std::string_view name) {
  static const std::set<std::string, std::less<>> names{"collections OrderedDict",
                                                        "collections Counter",
                                                        "torch Size",
                                                        "torch device",
                                                        "torch Tensor",
                                                        "torch dtype",
                                                        "torch layout",
                                                        "torch.nn.parameter Parameter",
                                                        "torch.nn.parameter UninitializedParameter",
                                                        "torch._tensor _rebuild_from_type_v2",
                                                        "torch.serialization _get_layout",
                                                        "torch.storage UntypedStorage",
                                                        "torch.storage TypedStorage",
                                                        "torch.storage _TypedStorage",
                                                        "torch.storage _UntypedStorage",
                                                        "_codecs encode",
                                                        "__builtin__ set",
                                                        "builtins set",
                                                        "__builtin__ frozenset",
                                                        "builtins frozenset",
                                                        "__builtin__ complex",
                                                        "builtins complex",
                                                        "__builtin__ bytearray",
                                                        "builtins bytearray",
                                                        "__builtin__ list",
                                                        "__builtin__ dict",
                                                        "__builtin__ tuple",
                                                        "builtins list",
                                                        "builtins dict",
                                                        "builtins tuple",
                                                        "builtins int",
                                                        "builtins float",
                                                        "builtins bool",
                                                        "builtins str",
                                                        "builtins bytes",
                                                        "__builtin__ int",
                                                        "__builtin__ float",
                                                        "__builtin__ bool",
                                                        "__builtin__ str",
                                                        "__builtin__ long",
                                                        "__builtin__ unicode",
                                                        "__builtin__ object"};
  if (names.contains(std::string(module) + " " + std::string(name))) return true;
  static const std::set<std::string, std::less<>> rebuilds{"_rebuild_tensor",
                                                           "_rebuild_tensor_v2",
                                                           "_rebuild_tensor_v3",
                                                           "_rebuild_parameter",
                                                           "_rebuild_parameter_with_state",
                                                           "_rebuild_qtensor",
                                                           "_rebuild_sparse_tensor",
                                                           "_rebuild_sparse_csr_tensor",
                                                           "_rebuild_nested_tensor",
                                                           "_rebuild_meta_tensor_no_storage",
                                                           "_rebuild_device_tensor_from_cpu_tensor",
                                                           "_rebuild_device_tensor_from_numpy",
                                                           "_rebuild_wrapper_subclass"};
  if (module == "torch._utils" && rebuilds.contains(name)) return true;
  static const std::set<std::string, std::less<>> dtypes{"float64",
                                                         "double",
                                                         "float32",
                                                         "float",
                                                         "float16",
                                                         "half",
                                                         "bfloat16",
                                                         "int64",
                                                         "long",
                                                         "int32",
                                                         "int",
                                                         "int16",
                                                         "short",
                                                         "int8",
                                                         "uint8",
                                                         "uint16",
                                                         "uint32",
                                                         "uint64",
                                                         "bool",
                                                         "complex32",
                                                         "complex64",
                                                         "complex128",
                                                         "quint8",
                                                         "qint8",
                                                         "qint32",
                                                         "quint4x2",
                                                         "quint2x4",
                                                         "float8_e4m3fn",
                                                         "float8_e5m2",
                                                         "float8_e4m3fnuz",
                                                         "float8_e5m2fnuz",
                                                         "float8_e8m0fnu",
                                                         "strided",
                                                         "sparse_coo",
                                                         "sparse_csr",
                                                         "per_tensor_affine",
                                                         "per_channel_affine",
                                                         "contiguous_format",
                                                         "preserve_format",
                                                         "channels_last"};
  const bool torch_module = module == "torch" || module == "torch.cuda" ||
                            module == "torch.sparse" || module == "torch.cuda.sparse";
  return torch_module &&
         (dtypes.contains(name) || name.ends_with("Storage") || name.ends_with("Tensor"));
}

// What trainers put beside or into their state: data classes and enums of plain values, whose
// constructors do nothing else. Exact names only.
bool is_trainer_global(std::string_view both) {
  constexpr std::array<std::string_view, 15> kNames{
      "transformers.training_args TrainingArguments",
      "transformers.training_args OptimizerNames",
      "transformers.training_args_seq2seq Seq2SeqTrainingArguments",
      "transformers.trainer_utils EvaluationStrategy",
      "transformers.trainer_utils HubStrategy",
      "transformers.trainer_utils IntervalStrategy",
      "transformers.trainer_utils SaveStrategy",
      "transformers.trainer_utils SchedulerType",
      "transformers.trainer_pt_utils AcceleratorConfig",
      "accelerate.state PartialState",
      "accelerate.utils.dataclasses DistributedType",
      "deepspeed.runtime.fp16.loss_scaler LossScaler",
      "deepspeed.runtime.fp16.loss_scaler DynamicLossScaler",
      "deepspeed.runtime.zero.config ZeroStageEnum",
      "deepspeed.utils.tensor_fragment fragment_address"};
  return std::find(kNames.begin(), kNames.end(), both) != kNames.end();
}

// Common in honest training state; they only rebuild plain values.
bool is_benign_global(std::string_view module, std::string_view name) {
  static const std::set<std::string, std::less<>> names{"numpy ndarray",
                                                        "numpy dtype",
                                                        "numpy.core.multiarray _reconstruct",
                                                        "numpy.core.multiarray scalar",
                                                        "numpy._core.multiarray _reconstruct",
                                                        "numpy._core.multiarray scalar",
                                                        "numpy.core.numeric _frombuffer",
                                                        "numpy._core.numeric _frombuffer",
                                                        "numpy.random _pickle",
                                                        "argparse Namespace",
                                                        "pathlib PosixPath",
                                                        "pathlib PurePosixPath",
                                                        "pathlib WindowsPath",
                                                        "pathlib Path",
                                                        "collections defaultdict",
                                                        "collections deque",
                                                        "datetime datetime",
                                                        "datetime timedelta",
                                                        "datetime date",
                                                        "_codecs latin1",
                                                        "copyreg _reconstructor",
                                                        "copy_reg _reconstructor",
                                                        "fractions Fraction",
                                                        "decimal Decimal",
                                                        "enum Enum",
                                                        "torch Generator",
                                                        "torch._C Generator"};
  return names.contains(std::string(module) + " " + std::string(name));
}

}  // namespace

Result<Pickle> read_pickle(std::string_view bytes, std::vector<std::string>* seen) {
  Machine machine(bytes);
  const auto tell = [&] {
    if (seen != nullptr) seen->assign(machine.globals().begin(), machine.globals().end());
  };
  try {
    Pickle pickle = machine.run();
    tell();
    return pickle;
  } catch (const Stop& stop) {
    tell();
    return stop.error;
  } catch (const std::bad_alloc&) {
    return Error{Code::limit, "pickle: it asks for more memory than there is",
                 "the file was made to exhaust its reader"};
  }
}

GlobalClass classify_global(std::string_view both) {
  const std::size_t space = both.find(' ');
  const std::string_view module = both.substr(0, space);
  const std::string_view name = space == std::string_view::npos ? "" : both.substr(space + 1);
  // A dotted name walks attributes: "torch" "_utils.os.system" would leave the module it names.
  const bool walks = name.find('.') != std::string_view::npos;
  if (!walks && is_tensor_global(module, name)) return GlobalClass::tensor;
  if (!walks && (is_benign_global(module, name) || is_trainer_global(both)))
    return GlobalClass::benign;
  if (is_dangerous_module(module) || is_dangerous_torch(module, name))
    return GlobalClass::dangerous;
  if ((module == "builtins" || module == "__builtin__" || module == "__builtins__") &&
      is_dangerous_builtin(name))
    return GlobalClass::dangerous;
  if ((module == "io" || module == "_io") && (name.starts_with("open") || name == "FileIO"))
    return GlobalClass::dangerous;
  for (const std::string_view part : split(name, '.')) {
    if (walks &&
        (is_dangerous_module(part) || is_dangerous_builtin(part) || part.starts_with("__")))
      return GlobalClass::dangerous;
  }
  if (module.starts_with("numpy") &&
      (name == "load" || name == "fromfile" || name.find("exec") != std::string_view::npos ||
       name == "runstring" || module.starts_with("numpy.testing") ||
       module.starts_with("numpy.f2py") || module.starts_with("numpy.distutils")))
    return GlobalClass::dangerous;
  return GlobalClass::unknown;
}

}  // namespace rgt
