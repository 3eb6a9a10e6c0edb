// The corpus of one target through the same function as the fuzzer, in builds of any compiler:
// every file, every file cut short, and every file with single bytes changed, the same ones each
// time.
#include "fuzz/target.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

void run(const std::string& bytes) {
    // Of exactly this size, so that a read beyond the end is one for the sanitizers.
    const std::vector<std::uint8_t> copy{bytes.begin(), bytes.end()};
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

std::string read(const std::filesystem::path& path) {
    std::ifstream stream{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

} // namespace

TEST_CASE("the corpus, and changes of it, do no harm") {
    std::vector<std::filesystem::path> files;
    for (const auto& each : std::filesystem::directory_iterator{BEDS_FUZZ_CORPUS}) {
        files.push_back(each.path());
    }
    std::sort(files.begin(), files.end());
    REQUIRE(files.size() >= 5);
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
    SUCCEED();
}
