#pragma once

#include "support/servers.hpp"

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace beds::test {

/// A statement with `?` in the place of every literal.
std::string without_literals(std::string_view statement);

/// What a MariaDB server was asked to do, by its own general log.
class general_log {
public:
    /// The server is the test's own: the log is one for all databases.
    explicit general_log(const server_control& server);

    struct statements {
        std::map<std::string, std::size_t> prepared; ///< texts as they were prepared
        std::map<std::string, std::size_t> executed; ///< executions of them, without literals
        std::map<std::string, std::size_t> queries;  ///< that were not prepared, as they were sent
        std::map<std::string, std::size_t> others;   ///< kinds of other commands
    };
    /// What came from the node's account since the last call.
    statements take();

private:
    const server_control* server_;
    std::filesystem::path file_;
    std::set<std::string> sessions_; ///< of the node's account, by their numbers
};

} // namespace beds::test
