// SPDX-License-Identifier: MIT
#include "core/artifact/hdf5.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/text.h"

namespace rgt {
namespace {

constexpr std::string_view kSignature("\x89HDF\r\n\x1A\n", 8);
constexpr rlim_t kMemoryMost = rlim_t{4}
                               << 30;  // bytes of address space for the child, over its parent's
constexpr std::uint64_t kSecondsFree = 60;            // of CPU time, plus what the size allows for:
constexpr std::uint64_t kBytesPerSecond = 10u << 20;  // inflating on a slow machine
constexpr std::chrono::seconds kSilenceMost{120};     // on a slow disk one piece takes a second
constexpr int kPollMs = 200;                          // between two looks at the stop token
constexpr char kAlive = '.', kDone = '!';
constexpr int kChildFile = 3, kChildPipe = 4;  // its only descriptors

// ---- the child

// Sanitizers reserve terabytes.
#if defined(__has_feature)
#define RGT_HAS_FEATURE(feature) __has_feature(feature)
#else
#define RGT_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    RGT_HAS_FEATURE(address_sanitizer) || RGT_HAS_FEATURE(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = 0;
#endif

// What reading, allocating and ending take. Everything else is answered with EPERM. It holds two
// descriptors, so nothing needs to be said about which.
void allow_reading_only() {
  constexpr std::array<long, 17> kAllowed{SYS_pread64,        SYS_write,         SYS_mmap,
                                          SYS_munmap,         SYS_mremap,        SYS_mprotect,
                                          SYS_madvise,        SYS_brk,           SYS_futex,
                                          SYS_exit,           SYS_exit_group,    SYS_rt_sigreturn,
                                          SYS_rt_sigprocmask, SYS_clock_gettime, SYS_sched_yield,
                                          SYS_getrandom,      SYS_getpid};
  std::array<sock_filter, kAllowed.size() + 7> code{};
  std::size_t at = 0;
  const auto add = [&](std::uint16_t what, std::uint32_t value, std::size_t yes, std::size_t no) {
    code[at++] = {what, static_cast<std::uint8_t>(yes), static_cast<std::uint8_t>(no), value};
  };
  const std::size_t count = kAllowed.size();
  add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch), 0, 0);
  add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, count + 1);
  add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr), 0, 0);
  for (std::size_t i = 0; i < count; ++i) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(kAllowed[i]), count - i, 0);
  }
  add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
  add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  sock_fprog program{static_cast<unsigned short>(at), code.data()};
  // Where the kernel has no filters, limits and closed descriptors must do.
  if (kArchitecture != 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
    ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

void limit(int what, rlim_t most) {
  const rlimit both{most, most};
  ::setrlimit(static_cast<__rlimit_resource>(what), &both);
}

// Of the program that was forked: a server with many threads has gigabytes of it.
rlim_t address_space() {
  std::array<char, 64> text{};
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  const ssize_t got = file < 0 ? -1 : ::read(file, text.data(), text.size());
  if (file >= 0) ::close(file);
  const std::string_view all(text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  const auto pages = parse_uint(all.substr(0, all.find(' ')));
  return pages.value_or(0) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

void lock_in(int file, int pipe, std::uint64_t size) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU, SIGTERM, SIGINT})
    ::signal(signal, SIG_DFL);
  // Out of the way first: one may sit where the other goes.
  const int file_above = ::fcntl(file, F_DUPFD, kChildPipe + 1);
  const int pipe_above = ::fcntl(pipe, F_DUPFD, kChildPipe + 1);
  if (file_above < 0 || pipe_above < 0 || ::dup2(file_above, kChildFile) < 0 ||
      ::dup2(pipe_above, kChildPipe) < 0)
    ::_exit(1);
  for (int descriptor = 0; descriptor < 3; ++descriptor) ::close(descriptor);
  // Locks and sockets of the parent must not live on here.
  if (::syscall(SYS_close_range, kChildPipe + 1, ~0u, 0) != 0) {
    for (int descriptor = kChildPipe + 1; descriptor < 65536; ++descriptor) ::close(descriptor);
  }
  limit(RLIMIT_CPU, kSecondsFree + size / kBytesPerSecond);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, kChildPipe + 1);
  if (!kSanitized) limit(RLIMIT_AS, address_space() + kMemoryMost);
  allow_reading_only();
}

void say_alive() { [[maybe_unused]] const ssize_t sent = ::write(kChildPipe, &kAlive, 1); }

[[noreturn]] void be_child(int file, int pipe, Hdf5Place place, Depth depth) {
  lock_in(file, pipe, place.size);
  Hdf5Summary summary;
  walk_hdf5(kChildFile, place, depth, say_alive, summary);
  std::array<char, 1 + sizeof summary> message{kDone};
  std::memcpy(message.data() + 1, &summary, sizeof summary);
  // Below PIPE_BUF: all or nothing.
  const ssize_t sent = ::write(kChildPipe, message.data(), message.size());
  ::_exit(sent == static_cast<ssize_t>(message.size()) ? 0 : 1);
}

// ---- the parent

struct Child {
  pid_t pid = -1;
  int pipe = -1;
  bool has_summary = false;
  Hdf5Summary summary = {};
};

Result<Child> start(const FileBytes& file, Hdf5Place place, Depth depth) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return Error{Code::io, std::string("no pipe: ") + std::strerror(errno), "close some files"};
  const pid_t pid = ::fork();
  if (pid == 0) be_child(file.descriptor(), ends[1], place, depth);
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return Error{Code::io, std::string("no process: ") + std::strerror(errno), "try again later"};
  }
  return Child{pid, ends[0]};
}

enum class Heard { all, silence, stopped };

// Reads until the child's end, its silence or ours. What follows the summary is ignored.
Heard listen(Child& child, const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  auto last = Clock::now();
  std::string tail;  // from the mark of the summary on
  while (true) {
    if (stop.stop_requested()) return Heard::stopped;
    if (Clock::now() - last > kSilenceMost) return Heard::silence;
    pollfd ready{child.pipe, POLLIN, 0};
    if (::poll(&ready, 1, kPollMs) <= 0) continue;
    std::array<char, 4096> bytes{};
    const ssize_t got = ::read(child.pipe, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Heard::all;
    last = Clock::now();
    std::string_view part(bytes.data(), static_cast<std::size_t>(got));
    if (tail.empty()) part = part.substr(std::min(part.find(kDone), part.size()));
    tail +=
        part.substr(0, 1 + sizeof child.summary - std::min(tail.size(), 1 + sizeof child.summary));
    if (tail.size() != 1 + sizeof child.summary) continue;
    std::memcpy(&child.summary, tail.data() + 1, sizeof child.summary);
    child.has_summary = true;
    return Heard::all;
  }
}

int end(const Child& child) {
  ::kill(child.pid, SIGKILL);
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(child.pipe);
  return status;
}

template <std::size_t size>
std::string text_of(const std::array<char, size>& bytes) {
  return clean_line({bytes.data(), ::strnlen(bytes.data(), size)}, size);
}

void judge_end(const Child& child, Heard heard, int status, Judgement& judgement) {
  if (heard == Heard::silence)
    return judgement.fail(ArtifactVerdict::corrupt, "libhdf5 did not come to an end with it");
  if (child.has_summary) return;
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (signal == SIGXCPU || signal == SIGKILL)
    return judgement.fail(ArtifactVerdict::corrupt, "libhdf5 used up its time or memory on it");
  judgement.fail(ArtifactVerdict::corrupt,
                 "libhdf5 crashed on it (" +
                     (signal != 0 ? "signal " + std::to_string(signal) : std::string("no answer")) +
                     "), in a process of its own");
}

void judge_summary(const Hdf5Summary& summary, ArtifactReport& report, Judgement& judgement) {
  const std::string trouble = text_of(summary.trouble);
  switch (summary.end) {
    case Hdf5Summary::whole: break;
    case Hdf5Summary::incomplete: return judgement.fail(ArtifactVerdict::incomplete, trouble);
    case Hdf5Summary::unverified: return judgement.fail(ArtifactVerdict::unverified, trouble);
    default: return judgement.fail(ArtifactVerdict::corrupt, trouble);
  }
  report.tensors = summary.tensors;
  report.parameters = summary.parameters;
  if (summary.external_links > 0)
    judgement.warn(std::to_string(summary.external_links) +
                   " links lead to other files, which are not read");
  if (summary.tensors == 0)
    return judgement.fail(ArtifactVerdict::incomplete, "it holds no array of numbers");
  report_values(
      {summary.scanned, summary.not_finite, summary.all_zero, text_of(summary.first_not_finite)},
      judgement);
}

// The bytes before the first group: where the writer said that the file ends. libhdf5 refuses the
// same, in other words.
bool check_superblock(const FileBytes& file, Hdf5Place place, Judgement& judgement) {
  const auto head =
      file.read(place.at, static_cast<std::size_t>(std::min<std::uint64_t>(place.size, 96)));
  if (!head || head->size() < 48) {
    judgement.fail(ArtifactVerdict::corrupt, "it is cut within its first bytes");
    return false;
  }
  const int version = (*head)[8];
  const bool old = version <= 1;
  const char offset_width = (*head)[old ? 13 : 9];
  if (offset_width != 8 || version > 3) return true;  // libhdf5 knows
  if (version == 3 && ((*head)[11] & 1) != 0) {
    judgement.fail(ArtifactVerdict::incomplete,
                   "its writer did not close it: it is at work or was killed");
    return false;
  }
  Cursor cursor(std::string_view(*head).substr(old ? (version == 0 ? 40 : 44) : 28));
  const std::uint64_t end = cursor.little(8);
  if (end > place.size) {
    judgement.fail(ArtifactVerdict::corrupt, "it was cut: its writer ended it at byte " +
                                                 std::to_string(end) + ", it has " +
                                                 std::to_string(place.size));
    return false;
  }
  if (end < place.size)
    judgement.warn(std::to_string(place.size - end) + " bytes behind its end belong to nothing");
  return true;
}

// The signature may stand behind a block of the user's own, at 512, 1024, 2048...
Result<std::optional<std::uint64_t>> find_signature(const FileBytes& file) {
  for (std::uint64_t at = 0; at + kSignature.size() <= file.size(); at = at == 0 ? 512 : at * 2) {
    const auto bytes = file.read(at, kSignature.size());
    if (!bytes) return bytes.error();
    if (*bytes == kSignature) return std::optional(at);
  }
  return std::optional<std::uint64_t>();
}

}  // namespace

Result<void> prove_hdf5(const FileBytes& file, Hdf5Place place, Depth depth, std::stop_token stop,
                        ArtifactReport& report, Judgement& judgement) {
  auto child = start(file, place, depth);
  if (!child) return child.error();
  const Heard heard = listen(*child, stop);
  const int status = end(*child);
  if (heard == Heard::stopped) return Error{Code::cancelled, "stopped while reading", "call again"};
  judge_end(*child, heard, status, judgement);
  if (child->has_summary) judge_summary(child->summary, report, judgement);
  return {};
}

Result<void> read_hdf5(const FileBytes& file, Depth depth, std::stop_token stop,
                       ArtifactReport& report) {
  report.format = "hdf5";
  report.reader = "hdf5/1";
  Judgement judgement(report);
  const auto signature = find_signature(file);
  if (!signature) return signature.error();
  if (!*signature)
    return judgement.fail(ArtifactVerdict::corrupt, "it is named like HDF5 and has no signature"),
           Result<void>();
  const bool at_begin = **signature == 0;
  if (at_begin && !check_superblock(file, {0, file.size()}, judgement)) return {};
  if (auto done = prove_hdf5(file, {0, file.size()}, depth, std::move(stop), report, judgement);
      !done)
    return done;
  if (judgement.failed()) return {};
  judgement.reached(depth < Depth::checksums ? Depth::structure : std::min(depth, Depth::values));
  report.verdict = ArtifactVerdict::ok;
  return {};
}

}  // namespace rgt
