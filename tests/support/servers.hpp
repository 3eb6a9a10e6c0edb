#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// Real servers for tests: where they are, and how a test breaks and mends its own.
///
/// tests/run starts one shared set and exports its endpoints. Tests share these servers, so each
/// works under names of its own (`unique_name`) and never stops them; a test that stops, kills or
/// pauses a server starts a set of its own (`private_servers`).
namespace beds::test {

/// The parts of a URI, percent-decoded. `path` is the virtual host or the database, without the
/// leading slash ("" when the URI has none; AMQP: then "/").
struct endpoint {
    std::string uri;
    std::string scheme;
    std::string host;
    std::uint16_t port = 0;
    std::string user;
    std::string password;
    std::string path;
    std::map<std::string, std::string> query;
};

/// Throws std::invalid_argument for text that is not
/// scheme://[user[:password]@]host[:port][/path][?query].
endpoint parse_uri(std::string_view uri);

/// The value of an environment variable; nothing when it is unset or empty.
std::optional<std::string> environment(std::string const& name);

/// As long and as large as the promises are written: `tests/run --full`.
bool in_full();

/// The shared servers: AMQP_URL, BEDS_MARIADB_URI, BEDS_MONGODB_URI. Without the variable they
/// print "skipped: NAME (VARIABLE is not set)" and end the program with 77, which CTest counts as a
/// skip, or with 1 when BEDS_REQUIRE_SERVERS=1 or a case before this one failed. Call them first in
/// a test case: a failure before them in the same case would be hidden by the skip.
endpoint require_amqp();
endpoint require_mariadb();
endpoint require_mongodb();

/// TLS listeners of the same servers, and the CA that signed their certificate (BEDS_AMQPS_URL,
/// BEDS_MONGODB_TLS_URI, BEDS_TLS_CA; BEDS_TLS_OTHER_CA signed nothing). MariaDB takes TLS on its
/// ordinary port. Missing ones are handled as above.
endpoint require_amqps();
endpoint require_mongodb_tls();
std::filesystem::path require_tls_ca();
std::filesystem::path require_tls_other_ca();

/// Ends the program as the functions above do.
[[noreturn]] void skip(std::string_view name, std::string_view reason);

/// PREFIX_xxxxxxxxxxxx: differs between processes and calls; fits database, queue and vhost names.
/// User `beds` of MariaDB may create databases whose names begin with "beds_".
std::string unique_name(std::string_view prefix = "beds_t");

enum class server { rabbitmq, mariadb, mongodb };

/// Drives the servers of one directory through tests/support/servers. Every call returns when the
/// server is in the asked state (`start`, `restart`: it answers) and throws std::runtime_error,
/// with what the tool said, when that fails. Ports and data survive; `kill` is SIGKILL, `pause` is
/// SIGSTOP.
class server_control {
public:
    explicit server_control(std::filesystem::path directory);

    void start(server which) const;
    void stop(server which) const;
    void restart(server which) const;
    void kill(server which) const;
    void pause(server which) const;
    void resume(server which) const;

    /// rabbitmqctl with these arguments; returns its standard output.
    std::string rabbitmqctl(std::initializer_list<std::string> arguments) const;

    /// SQL as root; returns the client's tab-separated output without column names.
    std::string mariadb_root(std::string const& sql) const;

    std::filesystem::path const& directory() const { return directory_; }

private:
    std::filesystem::path directory_;
};

/// Control over the shared servers, for what does no harm to other tests (virtual hosts, users, SQL
/// as root). Skips without BEDS_SERVERS_DIR.
server_control shared_servers();

/// What the setting `coalesce` of MariaDB is in this run of the tests: BEDS_TEST_COALESCE, or
/// `auto`.
inline std::string mariadb_coalesce() {
    const char* given = std::getenv("BEDS_TEST_COALESCE");
    return given != nullptr ? given : "auto";
}

/// A set of servers of one test, in a temporary directory: started by the constructor, ended and
/// removed by the destructor, and ended even when the test is killed. Start-up takes about 6 s with
/// RabbitMQ and 1 s without. Skips when a server is not installed.
class private_servers : public server_control {
public:
    /// `data`: a folder for their data elsewhere; empty: beside the rest. `mariadb_options`: of
    /// mariadbd, beside the usual ones.
    explicit private_servers(std::initializer_list<server> which,
                             std::filesystem::path const& data = {},
                             std::initializer_list<std::string> mariadb_options = {});
    ~private_servers();
    private_servers(private_servers const&) = delete;
    private_servers& operator=(private_servers const&) = delete;

    endpoint amqp() const;
    endpoint mariadb() const;
    endpoint mongodb() const;

    /// Any variable of the directory's env file; throws std::out_of_range when there is none.
    std::string const& variable(std::string const& name) const { return variables_.at(name); }

private:
    std::map<std::string, std::string> variables_;
};

} // namespace beds::test
