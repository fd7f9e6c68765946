// SPDX-License-Identifier: MIT
// Trains a linear model by gradient descent on data it makes, for the demo: writes a safetensors
// checkpoint after every epoch (temporary name, then rename), loads the latest one on every start,
// and prints progress lines like any trainer.
//   rgt_tiny_trainer OUT_FOLDER EPOCHS MILLISECONDS_PER_EPOCH LEARNING_RATE
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFeatures = 256;
constexpr int kStepsPerEpoch = 20;
constexpr std::size_t kBatch = 32;

struct Model {
  std::vector<float> weights = std::vector<float>(kFeatures, 0.0f);
  std::vector<float> momentum = std::vector<float>(kFeatures, 0.0f);
  int epoch = 0;
};

// Little-endian header length, JSON header, then the tensors one after the other.
void save(const Model& model, const fs::path& path) {
  const std::size_t bytes = kFeatures * sizeof(float);
  const std::string shape =
      "\"dtype\":\"F32\",\"shape\":[" + std::to_string(kFeatures) + "],\"data_offsets\":";
  std::string header = "{\"__metadata__\":{\"epoch\":\"" + std::to_string(model.epoch) +
                       "\"},\"momentum\":{" + shape + "[0," + std::to_string(bytes) +
                       "]},\"weights\":{" + shape + "[" + std::to_string(bytes) + "," +
                       std::to_string(2 * bytes) + "]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const fs::path temporary = path.string() + ".tmp";
  std::ofstream file(temporary, std::ios::binary);
  std::uint64_t size = header.size();
  for (int i = 0; i < 8; ++i, size >>= 8) file.put(static_cast<char>(size & 0xFF));
  file << header;
  file.write(reinterpret_cast<const char*>(model.momentum.data()),
             static_cast<std::streamsize>(bytes));
  file.write(reinterpret_cast<const char*>(model.weights.data()),
             static_cast<std::streamsize>(bytes));
  file.close();
  if (!file) {
    std::cerr << "OSError: [Errno 28] could not write " << path << ": No space left on device\n";
    std::exit(1);
  }
  fs::rename(temporary, path);
}

bool load(Model& model, const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), {});
  const std::size_t bytes = kFeatures * sizeof(float);
  const std::size_t at = all.find("\"epoch\":\"");
  if (all.size() < 2 * bytes + 8 || at == std::string::npos) return false;
  model.epoch = std::atoi(all.c_str() + at + 9);
  std::memcpy(model.momentum.data(), all.data() + all.size() - 2 * bytes, bytes);
  std::memcpy(model.weights.data(), all.data() + all.size() - bytes, bytes);
  return true;
}

// One step of stochastic gradient descent with momentum; returns the loss of the batch.
double step(Model& model, std::mt19937& random, float rate) {
  std::normal_distribution<float> normal;
  std::vector<float> gradient(kFeatures, 0.0f);
  double loss = 0;
  for (std::size_t row = 0; row < kBatch; ++row) {
    std::array<float, kFeatures> input{};
    float target = 0, output = 0;
    for (std::size_t i = 0; i < kFeatures; ++i) {
      input[i] = normal(random);
      target += input[i] * std::sin(static_cast<float>(i));  // the weights to be found
      output += input[i] * model.weights[i];
    }
    const float error = output - target;
    loss += static_cast<double>(error) * static_cast<double>(error) / kBatch;
    for (std::size_t i = 0; i < kFeatures; ++i) gradient[i] += error * input[i] / kBatch;
  }
  for (std::size_t i = 0; i < kFeatures; ++i) {
    model.momentum[i] = 0.9f * model.momentum[i] + gradient[i];
    model.weights[i] -= rate * model.momentum[i];
  }
  return loss;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: rgt_tiny_trainer OUT_FOLDER EPOCHS MILLISECONDS_PER_EPOCH LEARNING_RATE\n";
    return 2;
  }
  const fs::path out = argv[1];
  const int epochs = std::atoi(argv[2]);
  const std::chrono::milliseconds pause(std::atoi(argv[3]));
  const float rate = std::strtof(argv[4], nullptr);
  fs::create_directories(out);
  Model model;
  if (load(model, out / "model.safetensors"))
    std::cout << "resumed from epoch " << model.epoch << std::endl;
  double loss = 0;
  while (model.epoch < epochs) {
    std::mt19937 random(static_cast<unsigned>(1000 + model.epoch));
    for (int i = 0; i < kStepsPerEpoch; ++i) loss = step(model, random, rate);
    ++model.epoch;
    save(model, out / "model.safetensors");
    std::printf("epoch %d step %d loss %.4f\n", model.epoch, model.epoch * kStepsPerEpoch, loss);
    std::fflush(stdout);
    std::this_thread::sleep_for(pause);  // stands for the work of a real model
  }
  std::ofstream(out / "metrics.json")
      << "{\"epoch\": " << model.epoch << ", \"loss\": " << loss << "}\n";
  std::cout << "Training completed" << std::endl;
  return 0;
}
