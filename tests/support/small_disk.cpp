#include "support/small_disk.hpp"

#include "support/servers.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace beds::test {

namespace {

[[noreturn]] void refused(const char* what) {
    skip("a file system of its own", std::string{what} + ": " + std::strerror(errno));
}

void write(const char* file, const std::string& text) {
    std::ofstream{file} << text;
}

/// Whoever is not root is it within a user namespace, and may mount there.
void leave_the_others() {
    const auto user = ::geteuid();
    const auto group = ::getegid();
    if (::unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) {
        refused("unshare");
    }
    if (user != 0) {
        write("/proc/self/setgroups", "deny");
        write("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
        write("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
    }
    // In a chroot the root is no mount point and cannot be made private; then it is looked at
    // below.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 && errno != EINVAL) {
        refused("mount --make-rprivate /");
    }
}

std::string read(const std::string& file) {
    std::ifstream stream{file};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

} // namespace

small_disk::small_disk(unsigned mib) {
    std::string pattern = (std::filesystem::temp_directory_path() / "beds-disk-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::system_error{errno, std::generic_category(), "mkdtemp " + pattern};
    }
    root_ = pattern;
    static const bool apart = (leave_the_others(), true);
    (void)apart;
    if (::mount("beds-test", pattern.c_str(), "tmpfs", 0,
                ("size=" + std::to_string(mib) + "m,mode=755").c_str()) != 0) {
        refused("mount tmpfs");
    }
    const auto parent = "/proc/" + std::to_string(::getppid()) + "/mountinfo";
    if (read(parent).find(' ' + pattern + ' ') != std::string::npos) {
        ::umount2(pattern.c_str(), MNT_DETACH);
        throw std::runtime_error{"the mount of " + pattern + " would be seen by other processes"};
    }
}

small_disk::~small_disk() {
    ::umount2(root_.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove(root_, ignored);
}

std::uint64_t small_disk::free_bytes() const {
    struct statvfs found {};
    if (::statvfs(root_.c_str(), &found) != 0) {
        throw std::system_error{errno, std::generic_category(), "statvfs " + root_.string()};
    }
    return found.f_bavail * found.f_frsize;
}

void small_disk::fill(std::uint64_t leave) const {
    const int file = ::open((root_ / "ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        throw std::system_error{errno, std::generic_category(), "ballast in " + root_.string()};
    }
    auto taken = std::filesystem::file_size(root_ / "ballast");
    const auto free = free_bytes();
    auto piece = free > leave ? free - leave : 0;
    // What does not fit is given back as a whole, and others write, too: then in smaller pieces.
    for (auto wanted = piece; wanted != 0 && piece >= 4096;) {
        piece = std::min(piece, wanted);
        if (::posix_fallocate(file, static_cast<off_t>(taken), static_cast<off_t>(piece)) == 0) {
            taken += piece;
            wanted -= piece;
        } else {
            piece /= 2;
        }
    }
    ::close(file);
}

void small_disk::make_room() const {
    std::filesystem::remove(root_ / "ballast");
}

} // namespace beds::test
