#pragma once

#include "support/folder.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace daemon_test {

using beds::test::contains;
using beds::test::folder;

/// As a TOML string.
inline std::string in_quotes(const std::string& text) {
    return '"' + text + '"';
}

/// A child process; killed when it is still there at the end.
class process {
public:
    /// `environment` is added to the test's own. Output goes to `out` and `err` in `where`.
    process(const folder& where, std::vector<std::string> arguments,
            const std::vector<std::string>& environment = {}) {
        std::vector<char*> argv;
        argv.reserve(arguments.size() + 1);
        for (auto& each : arguments) {
            argv.push_back(each.data());
        }
        argv.push_back(nullptr);
        const auto out = where.path("out").string();
        const auto err = where.path("err").string();
        pid_ = ::fork();
        if (pid_ < 0) {
            throw std::runtime_error{"fork"};
        }
        if (pid_ == 0) {
            for (const auto& [file, descriptor] : {std::pair{&out, 1}, std::pair{&err, 2}}) {
                const int opened = ::open(file->c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
                ::dup2(opened, descriptor);
            }
            for (const auto& each : environment) {
                const auto equals = each.find('=');
                ::setenv(each.substr(0, equals).c_str(), each.c_str() + equals + 1, 1);
            }
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
    }
    ~process() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    void signal(int which) const { ::kill(pid_, which); }
    [[nodiscard]] pid_t id() const { return pid_; }

    /// The exit code; 128 + signal when a signal ended it; -1 when it still runs after `longest`.
    int wait(std::chrono::milliseconds longest) {
        const auto until = std::chrono::steady_clock::now() + longest;
        for (;;) {
            int status = 0;
            if (::waitpid(pid_, &status, WNOHANG) == pid_) {
                pid_ = -1;
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
            if (std::chrono::steady_clock::now() > until) {
                return -1;
            }
            ::poll(nullptr, 0, 5);
        }
    }

private:
    pid_t pid_ = -1;
};

/// The service manager's end of sd_notify.
class notify_socket {
public:
    explicit notify_socket(const std::filesystem::path& path) : path_(path) {
        descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        if (::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            throw std::runtime_error{"bind"};
        }
    }
    ~notify_socket() { ::close(descriptor_); }
    notify_socket(const notify_socket&) = delete;
    notify_socket& operator=(const notify_socket&) = delete;

    [[nodiscard]] std::string variable() const { return "NOTIFY_SOCKET=" + path_.string(); }

    /// The first message that contains `part`, or "" after `longest`.
    [[nodiscard]] std::string wait_for(std::string_view part,
                                       std::chrono::milliseconds longest) const {
        const auto until = std::chrono::steady_clock::now() + longest;
        for (;;) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                until - std::chrono::steady_clock::now());
            pollfd ready{descriptor_, POLLIN, 0};
            if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
                return "";
            }
            std::string message(4096, '\0');
            const auto size = ::recv(descriptor_, message.data(), message.size(), 0);
            message.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
            if (message.find(part) != std::string::npos) {
                return message;
            }
        }
    }

private:
    std::filesystem::path path_;
    int descriptor_ = -1;
};

struct answer {
    int code = 0;
    std::string out;
    std::string err;
};

/// A program that ends by itself, and what it said; killed after `longest`.
inline answer run_program(std::vector<std::string> arguments,
                          const std::vector<std::string>& environment,
                          std::chrono::milliseconds longest) {
    const folder output;
    process program{output, std::move(arguments), environment};
    const int code = program.wait(longest);
    return {code, output.read("out"), output.read("err")};
}

} // namespace daemon_test
