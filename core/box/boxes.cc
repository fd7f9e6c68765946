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
        std::make_shared<RsyncTransfer>(box, settings_, processes_, *reached));
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
