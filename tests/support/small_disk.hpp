#pragma once

#include <cstdint>
#include <filesystem>

namespace beds::test {

/// A file system of `mib` MiB in memory that only this process and those that it starts afterwards
/// can see (a mount namespace); it is gone with them. Servers that live on it keep their data when
/// they are killed and started again. Make it before the first thread: where the test is not root
/// it also needs a user namespace. Skips (see servers.hpp) where the system allows neither.
class small_disk {
public:
    explicit small_disk(unsigned mib);
    ~small_disk();
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;

    [[nodiscard]] const std::filesystem::path& root() const { return root_; }
    [[nodiscard]] std::uint64_t free_bytes() const;
    /// Takes all but about `leave` bytes; none when there is less.
    void fill(std::uint64_t leave) const;
    /// Gives back what `fill` took.
    void make_room() const;

private:
    std::filesystem::path root_;
};

} // namespace beds::test
