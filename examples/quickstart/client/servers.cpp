#include "servers.hpp"

#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

namespace quickstart {

std::optional<std::string> environment(const char* name) {
    const char* found = std::getenv(name);
    return found == nullptr || *found == '\0' ? std::nullopt : std::optional<std::string>{found};
}

std::optional<database_switch> database_switch::from_environment() {
    const auto tool = environment("BEDS_SERVERS_TOOL");
    const auto directory = environment("BEDS_SERVERS_DIR");
    if (!tool || !directory) {
        return std::nullopt;
    }
    return database_switch{*tool, *directory};
}

bool database_switch::run(const char* command) const {
    const auto child = ::fork();
    if (child == 0) {
        ::execl(tool_.c_str(), tool_.c_str(), command, "--dir", directory_.c_str(), "mariadb",
                static_cast<char*>(nullptr));
        ::_exit(127);
    }
    int status = 0;
    return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

} // namespace quickstart
