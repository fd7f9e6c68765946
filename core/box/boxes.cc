// SPDX-License-Identifier: MIT
#include "core/box/boxes.h"

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>

#include "core/base/text.h"
#include "core/box/local_shell.h"
#include "core/box/rsync_transfer.h"
#include "core/box/ssh_keeper.h"
#include "core/box/ssh_sftp.h"
#include "core/box/ssh_shell.h"

namespace rgt {
namespace {

// What can stand in a Host line and reach `ssh` and `rsync` as one word that is no option.
bool is_box_name(const std::string& name) {
  if (name.empty() || name.size() > 255 || name[0] == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '@';
  });
}

// rsync, and SFTP where one side has none.
class EitherTransfer final : public Transfer {
 public:
  EitherTransfer(std::string box, const SshSettings& settings, ProcessRunner& processes,
                 const std::shared_ptr<Shell>& shell)
      : box_(std::move(box)),
        rsync_(box_, settings, processes, shell),
        sftp_(box_, settings, processes, shell) {}

  Result<PullReport> pull(const PullRequest& request, std::stop_token stop) override {
    auto by_rsync = rsync_.pull(request, stop);
    const bool lacking = !by_rsync && by_rsync.error().code == Code::missing_tool;
    if (!lacking || box_ == kLocalBox) return by_rsync;
    auto by_sftp = sftp_.pull(request, stop);
    if (by_sftp || by_sftp.error().code != Code::missing_tool) return by_sftp;
    return Error{Code::missing_tool, by_rsync.error().message + ", and its sshd offers no SFTP",
                 by_rsync.error().next +
                     ". An address that is a platform's proxy has neither: use the direct address "
                     "and port that the platform shows for the box (RunPod: handbook entry RP6)"};
  }

 private:
  const std::string box_;
  RsyncTransfer rsync_;
  SftpTransfer sftp_;
};

class RealBoxes final : public Boxes {
 public:
  RealBoxes(SshSettings settings, ProcessRunner& processes)
      : settings_(std::move(settings)), processes_(processes) {
    if (settings_.keep_warm) keeper_ = std::make_unique<SshKeeper>();
  }

  Result<std::shared_ptr<Shell>> shell(const std::string& box) override {
    if (auto named = check(box); !named) return named.error();
    const std::scoped_lock lock(mutex_);
    std::shared_ptr<Shell>& known = shells_[box];
    if (known == nullptr && box == kLocalBox) known = std::make_shared<LocalShell>(processes_);
    if (known == nullptr) known = make_ssh_shell(box);
    return known;
  }

  Result<std::shared_ptr<Transfer>> transfer(const std::string& box) override {
    auto reached = shell(box);
    if (!reached) return reached.error();
    return std::shared_ptr<Transfer>(
        std::make_shared<EitherTransfer>(box, settings_, processes_, *reached));
  }

 private:
  std::shared_ptr<SshShell> make_ssh_shell(const std::string& box) {
    SshKeeper* const keeper = keeper_.get();
    std::function<void()> after_call;
    if (keeper != nullptr) after_call = [keeper] { keeper->wake(); };
    auto made = std::make_shared<SshShell>(box, settings_, processes_, std::move(after_call));
    if (keeper != nullptr) keeper->add(made);
    return made;
  }

  static Result<void> check(const std::string& box) {
    if (is_box_name(box)) return {};
    return Error{Code::invalid_argument,
                 "\"" + clean_line(box, 80) +
                     "\" cannot be a box: expected `local` or a Host of the ssh "
                     "configuration (letters, digits, . _ - @)",
                 "name a Host alias; put user, port and key into ~/.ssh/config"};
  }

  const SshSettings settings_;
  ProcessRunner& processes_;
  std::unique_ptr<SshKeeper> keeper_ = {};
  std::mutex mutex_ = {};
  std::map<std::string, std::shared_ptr<Shell>> shells_ = {};
};

}  // namespace

std::unique_ptr<Boxes> make_boxes(SshSettings settings, ProcessRunner& processes) {
  return std::make_unique<RealBoxes>(std::move(settings), processes);
}

}  // namespace rgt
