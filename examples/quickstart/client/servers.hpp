#pragma once

#include <optional>
#include <string>

namespace quickstart {

/// The value of an environment variable; nothing when it is unset or empty.
std::optional<std::string> environment(const char* name);

/// Stops and starts the quickstart's own MariaDB.
class database_switch {
public:
    /// Nothing when BEDS_SERVERS_TOOL and BEDS_SERVERS_DIR do not say how.
    static std::optional<database_switch> from_environment();

    /// Both return when MariaDB is in that state; false when it could not be done.
    [[nodiscard]] bool stop() const { return run("stop"); }
    [[nodiscard]] bool start() const { return run("start"); }

private:
    database_switch(std::string tool, std::string directory)
        : tool_(std::move(tool)), directory_(std::move(directory)) {}
    [[nodiscard]] bool run(const char* command) const;

    std::string tool_;
    std::string directory_;
};

} // namespace quickstart
