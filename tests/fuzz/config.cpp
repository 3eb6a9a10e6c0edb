// Configuration files: there are problems, or settings that keep every bound.
#include "fuzz/target.hpp"

#include <beds/config/load.hpp>

#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {

/// A file without a disk.
class memory_file {
public:
    memory_file() : descriptor_(::memfd_create("beds.toml", MFD_CLOEXEC)) {}
    ~memory_file() { ::close(descriptor_); }
    memory_file(const memory_file&) = delete;
    memory_file& operator=(const memory_file&) = delete;

    void write(std::string_view text) const {
        beds::fuzz::expect(::ftruncate(descriptor_, 0) == 0);
        beds::fuzz::expect(::pwrite(descriptor_, text.data(), text.size(), 0) ==
                           static_cast<ssize_t>(text.size()));
    }
    [[nodiscard]] std::string path() const {
        return "/proc/self/fd/" + std::to_string(descriptor_);
    }

private:
    int descriptor_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace beds;
    static const memory_file file;
    file.write(fuzz::text_of(data, size));
    config::load_options options;
    options.base = file.path();
    // No variable of this machine gets in.
    options.environment = [](const std::string&) { return std::nullopt; };
    const auto result = config::load(options);
    fuzz::expect(!config::print(result).empty() || !result.ok());
    if (result.ok()) {
        fuzz::expect(config::check(result.settings).empty());
    } else {
        fuzz::expect(!config::to_string(result.problems).empty());
    }
    return 0;
}
