// The corpus of one target through the same function as the fuzzer, in builds of any compiler:
// every file, every file cut short, and every file with single bytes changed, the same ones each
// time. A finding ends the program: the sanitizers' report, or an abort.
//
//   fuzz_corpus_TARGET FOLDER|FILE...
#include "fuzz/target.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

std::size_t inputs = 0;

void run(const std::string& bytes) {
    // Of exactly this size, so that a read beyond the end is one for the sanitizers.
    const std::vector<std::uint8_t> copy{bytes.begin(), bytes.end()};
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
    ++inputs;
}

std::string read(const std::filesystem::path& path) {
    std::ifstream stream{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

} // namespace

int main(int count, char** arguments) {
    std::vector<std::filesystem::path> files;
    for (int i = 1; i < count; ++i) {
        const std::filesystem::path given{arguments[i]};
        if (!std::filesystem::is_directory(given)) {
            files.push_back(given);
            continue;
        }
        for (const auto& each : std::filesystem::directory_iterator{given}) {
            files.push_back(each.path());
        }
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
        const auto whole = read(file);
        run(whole);
        constexpr std::size_t most = 300; // of each kind, per file
        const auto step = std::max<std::size_t>(1, whole.size() / most);
        std::mt19937 random{4711}; // NOLINT(cert-msc32-c,cert-msc51-cpp): the same ones each time
        for (std::size_t at = 0; at < whole.size(); at += step) {
            run(whole.substr(0, at));
            auto changed = whole;
            changed[at] = static_cast<char>(random());
            run(changed);
            changed = whole;
            changed.insert(at, 1, "\"{[\\\0\xff"[random() % 6]);
            run(changed);
        }
    }
    run({});
    constexpr std::size_t few = 1000;
    if (inputs < few) {
        std::fprintf(stderr, "%zu inputs: is the corpus there?\n", inputs);
        return 1;
    }
    std::printf("nothing found in %zu inputs\n", inputs);
    return 0;
}
