// SPDX-License-Identifier: MIT
// A DelayProxy as a program, for bench/look.sh: delay_proxy PORT MILLISECONDS-EACH-WAY prints its
// own port, then obeys lines on stdin until it ends: "reset", "turns" (prints the count), "silent",
// "open".
#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/boxes/delay_proxy.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: delay_proxy PORT MILLISECONDS\n";
    return 2;
  }
  rgt::DelayProxy proxy(std::atoi(argv[1]), rgt::Milliseconds(std::atoi(argv[2])));
  std::cout << proxy.port() << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line == "reset") proxy.reset_counts();
    if (line == "silent") proxy.set_way(rgt::DelayProxy::Way::silent);
    if (line == "open") proxy.set_way(rgt::DelayProxy::Way::open);
    std::cout << (line == "turns" ? std::to_string(proxy.turns()) : "ok") << std::endl;
  }
}
