// SPDX-License-Identifier: MIT
#include "core/box/platform_signs.h"

#include <catch2/catch.hpp>

#include "core/box/torch_report.h"

namespace rgt {

TEST_CASE("two strong signs confirm a platform, one makes it probable, weak ones alone nothing") {
  CHECK(recognise_platform({}).sureness == Sureness::none);
  CHECK(recognise_platform({{"colab", false, "/content"}}).sureness == Sureness::none);
  PlatformGuess guess = recognise_platform({{"runpod", true, "env RUNPOD_POD_ID"}});
  CHECK(guess.platform == "runpod");
  CHECK(guess.sureness == Sureness::probable);
  guess = recognise_platform({{"autodl", false, "/root/tf-logs"},
                              {"autodl", true, "/root/autodl-tmp"},
                              {"autodl", true, "env AutoDLRegion"}});
  CHECK(guess.sureness == Sureness::confirmed);
  CHECK(guess.signs ==
        std::vector<std::string>{"/root/autodl-tmp", "env AutoDLRegion", "/root/tf-logs"});
}

TEST_CASE("a rental that is a Kubernetes pod is the rental") {
  const PlatformGuess guess =
      recognise_platform({{"kubernetes", true, "env KUBERNETES_SERVICE_HOST"},
                          {"kubernetes", true, "/var/run/secrets"},
                          {"runpod", true, "env RUNPOD_POD_ID"}});
  CHECK(guess.platform == "runpod");
}

TEST_CASE("an image of one rental run on another is told by the stronger signs") {
  const PlatformGuess guess = recognise_platform({{"vastai", true, "/root/.vast_containerlabel"},
                                                  {"runpod", true, "env RUNPOD_POD_ID"},
                                                  {"runpod", true, "env RUNPOD_DC_ID"}});
  CHECK(guess.platform == "runpod");
}

TEST_CASE("one profile may cover several platforms") {
  CHECK(profile_covers("runpod", "runpod"));
  CHECK(profile_covers("china", "gpushare"));
  CHECK(profile_covers("china-family", "matpool"));
  CHECK_FALSE(profile_covers("china", "autodl"));
  CHECK_FALSE(profile_covers("generic-ssh", "runpod"));
}

TEST_CASE("a torch build is held against the device's compute capability") {
  TorchReport torch;
  CHECK_FALSE(has_kernels(torch));  // nothing told
  torch.capability = "8.6";
  torch.archs = {"sm_70", "sm_80"};
  CHECK(has_kernels(torch) == true);  // same major, older minor
  torch.archs = {"sm_90", "sm_70"};
  CHECK(has_kernels(torch) == false);
  torch.archs = {"sm_70", "compute_70"};
  CHECK(has_kernels(torch) == true);  // compiled from PTX when it starts
  torch.capability = "12.0";
  torch.archs = {"sm_80", "sm_90a", "sm_120"};
  CHECK(has_kernels(torch) == true);
  torch.archs = {"sm_100a"};
  CHECK(has_kernels(torch) == false);
  CHECK(cuda_number("12.4") == 12004);
  CHECK(cuda_number("13.0.1") == 13000);
  CHECK_FALSE(cuda_number("12"));
  CHECK_FALSE(cuda_number("a.b"));
}

TEST_CASE("torch's answer is found among its warnings") {
  const TorchReport torch = read_torch(
      0,
      "/usr/lib/x.py:1: UserWarning: NVML\nrgt version 2.4.0\nrgt cuda 12.1\nnoise\nrgt available "
      "True\nrgt devices 2\nrgt capability 8.0\n");
  CHECK(torch.version == "2.4.0");
  CHECK(torch.available == true);
  CHECK(torch.devices == 2);
  CHECK(torch.trouble.empty());
  CHECK(read_torch(139, "Segmentation fault\n").trouble == "Segmentation fault");
  CHECK(read_torch(124, "").trouble == "no answer in time");
}

}  // namespace rgt
