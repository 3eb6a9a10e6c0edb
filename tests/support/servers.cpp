#include "support/servers.hpp"

#include "support/failures.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace beds::test {

namespace {

std::string decoded(std::string_view text) {
    auto const digit = [](char c) {
        if (c >= '0' && c <= '9')
            return c - '0';
        if (c >= 'a' && c <= 'f')
            return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
            return c - 'A' + 10;
        throw std::invalid_argument("bad percent-encoding in a URI");
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size())
            throw std::invalid_argument("bad percent-encoding in a URI");
        out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
        i += 2;
    }
    return out;
}

/// Cuts `text` at the first `mark`; the part behind it is returned, nothing when there is no mark.
std::optional<std::string_view> cut(std::string_view& text, std::string_view mark) {
    auto const at = text.find(mark);
    if (at == std::string_view::npos)
        return std::nullopt;
    auto const rest = text.substr(at + mark.size());
    text = text.substr(0, at);
    return rest;
}

std::string required(std::string const& variable, std::string_view name) {
    if (auto value = environment(variable))
        return *std::move(value);
    skip(name, variable + " is not set");
}

char const* name_of(server which) {
    switch (which) {
    case server::rabbitmq:
        return "rabbitmq";
    case server::mariadb:
        return "mariadb";
    case server::mongodb:
        return "mongodb";
    }
    std::abort();
}

std::string tool() {
    return environment("BEDS_SERVERS_TOOL").value_or(BEDS_DEFAULT_SERVERS_TOOL);
}

struct finished {
    int code;
    std::string output; // standard output
    std::string errors; // standard error
};

/// Runs a program to its end. Standard error goes to a file, because the servers that the tool
/// starts may outlive it and would hold a pipe open.
finished run(std::vector<std::string> const& arguments) {
    std::vector<char*> raw;
    for (auto const& argument : arguments)
        raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    struct closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    using file = std::unique_ptr<std::FILE, closer>;
    file const out{std::tmpfile()};
    file const err{std::tmpfile()};
    if (!out || !err)
        throw std::runtime_error("cannot create a temporary file");
    auto const child = ::fork();
    if (child < 0)
        throw std::runtime_error("cannot fork");
    if (child == 0) {
        ::dup2(::fileno(out.get()), 1);
        ::dup2(::fileno(err.get()), 2);
        ::execvp(raw.front(), raw.data());
        ::_exit(127);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            throw std::runtime_error("cannot wait for " + arguments.front());
    }
    auto const read_all = [](std::FILE* from) {
        std::rewind(from);
        std::string text;
        std::array<char, 4096> buffer{};
        while (auto const got = std::fread(buffer.data(), 1, buffer.size(), from))
            text.append(buffer.data(), got);
        return text;
    };
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_all(out.get()),
            read_all(err.get())};
}

std::string run_tool(std::string const& command, std::filesystem::path const& directory,
                     std::vector<std::string> const& rest) {
    std::vector<std::string> arguments{tool(), command, "--dir", directory.string()};
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    auto done = run(arguments);
    if (done.code != 0) {
        throw std::runtime_error("servers " + command + " ended with " + std::to_string(done.code) +
                                 ": " + done.errors);
    }
    return std::move(done.output);
}

std::map<std::string, std::string> read_env(std::filesystem::path const& file) {
    std::ifstream in(file);
    std::map<std::string, std::string> values;
    for (std::string line; std::getline(in, line);) {
        // export NAME='value'
        auto const name = line.find(' ') + 1;
        auto const sign = line.find("='");
        if (sign == std::string::npos || line.empty())
            continue;
        values[line.substr(name, sign - name)] = line.substr(sign + 2, line.size() - sign - 3);
    }
    return values;
}

std::filesystem::path temporary_directory() {
    auto pattern = (std::filesystem::temp_directory_path() / "beds-servers-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
        throw std::runtime_error("cannot create " + pattern);
    return pattern;
}

} // namespace

endpoint parse_uri(std::string_view uri) {
    endpoint result;
    result.uri = uri;
    auto scheme = uri;
    auto const behind_scheme = cut(scheme, "://");
    if (!behind_scheme || scheme.empty())
        throw std::invalid_argument("not a URI: " + result.uri);
    result.scheme = scheme;
    auto authority = *behind_scheme;
    auto query = cut(authority, "?");
    auto path = cut(authority, "/");
    if (path)
        result.path = decoded(*path);
    auto user = authority;
    if (auto const host = cut(user, "@")) {
        authority = *host;
        if (auto const password = cut(user, ":"))
            result.password = decoded(*password);
        result.user = decoded(user);
    }
    auto const port = cut(authority, ":");
    result.host = authority;
    if (port) {
        auto const [end, problem] =
            std::from_chars(port->data(), port->data() + port->size(), result.port);
        if (problem != std::errc{} || end != port->data() + port->size()) {
            throw std::invalid_argument("bad port in " + result.uri);
        }
    } else {
        result.port = scheme == "amqp"      ? 5672
                      : scheme == "amqps"   ? 5671
                      : scheme == "mongodb" ? 27017
                                            : 3306;
    }
    if (scheme.substr(0, 4) == "amqp" && result.path.empty())
        result.path = "/";
    while (query && !query->empty()) {
        auto pair = *query;
        query = cut(pair, "&");
        auto const value = cut(pair, "=");
        result.query[decoded(pair)] = value ? decoded(*value) : "";
    }
    return result;
}

std::optional<std::string> environment(std::string const& name) {
    char const* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0')
        return std::nullopt;
    return value;
}

bool in_full() {
    return environment("BEDS_CHAOS_FULL") == "1";
}

void skip(std::string_view name, std::string_view reason) {
    auto const is_required = environment("BEDS_REQUIRE_SERVERS") == "1";
    std::fprintf(stderr, "%s: %.*s (%.*s)%s\n", is_required ? "missing" : "skipped",
                 static_cast<int>(name.size()), name.data(), static_cast<int>(reason.size()),
                 reason.data(), has_failed ? ", and a case before it failed" : "");
    std::fflush(nullptr);
    // No destructors: the test framework is in the middle of a case.
    std::_Exit(is_required || has_failed ? 1 : 77);
}

endpoint require_amqp() {
    return parse_uri(required("AMQP_URL", "rabbitmq"));
}
endpoint require_mariadb() {
    return parse_uri(required("BEDS_MARIADB_URI", "mariadb"));
}
endpoint require_mongodb() {
    return parse_uri(required("BEDS_MONGODB_URI", "mongodb"));
}
endpoint require_amqps() {
    return parse_uri(required("BEDS_AMQPS_URL", "rabbitmq with TLS"));
}
endpoint require_mongodb_tls() {
    return parse_uri(required("BEDS_MONGODB_TLS_URI", "mongodb with TLS"));
}
std::filesystem::path require_tls_ca() {
    return required("BEDS_TLS_CA", "certificates");
}
std::filesystem::path require_tls_other_ca() {
    return required("BEDS_TLS_OTHER_CA", "certificates");
}

std::string unique_name(std::string_view prefix) {
    static std::atomic<unsigned> counter{0};
    static std::uint32_t const seed = std::random_device{}();
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "_%08x%04x", seed, counter++ & 0xffffU);
    return std::string(prefix) + text.data();
}

server_control::server_control(std::filesystem::path directory)
    : directory_(std::move(directory)) {}

void server_control::start(server which) const {
    run_tool("start", directory_, {"--own", name_of(which)});
}
void server_control::stop(server which) const {
    run_tool("stop", directory_, {name_of(which)});
}
void server_control::restart(server which) const {
    run_tool("restart", directory_, {name_of(which)});
}
void server_control::kill(server which) const {
    run_tool("kill", directory_, {name_of(which)});
}
void server_control::pause(server which) const {
    run_tool("pause", directory_, {name_of(which)});
}
void server_control::resume(server which) const {
    run_tool("resume", directory_, {name_of(which)});
}

std::string server_control::rabbitmqctl(std::initializer_list<std::string> arguments) const {
    return run_tool("rabbitmqctl", directory_, arguments);
}

// Hundreds of times in one suite: without the tool's interpreter before it.
std::string server_control::mariadb_root(std::string const& sql) const {
    const auto socket = read_env(directory_ / "env")["BEDS_MARIADB_SOCKET"];
    auto done = run({"mariadb", "--no-defaults", "--skip-ssl", "--user=root", "--socket=" + socket,
                     "--default-character-set=utf8mb4", "--batch", "--skip-column-names",
                     "--execute", sql});
    if (done.code != 0) {
        throw std::runtime_error("mariadb ended with " + std::to_string(done.code) + ": " +
                                 done.errors);
    }
    return std::move(done.output);
}

server_control shared_servers() {
    return server_control(required("BEDS_SERVERS_DIR", "shared servers"));
}

private_servers::private_servers(std::initializer_list<server> which,
                                 std::filesystem::path const& data,
                                 std::initializer_list<std::string> mariadb_options)
    : server_control(temporary_directory()) {
    std::vector<std::string> arguments{tool(),
                                       "start",
                                       "--dir",
                                       directory().string(),
                                       "--own",
                                       "--with",
                                       std::to_string(::getpid())};
    if (!data.empty()) {
        arguments.emplace_back("--data");
        arguments.push_back(data.string());
    }
    for (auto const& option : mariadb_options) {
        arguments.emplace_back("--mariadb-option");
        arguments.push_back(option);
    }
    for (auto const one : which)
        arguments.emplace_back(name_of(one));
    auto const done = run(arguments);
    if (done.code != 0 || done.errors.find("skipped: ") != std::string::npos) {
        run({tool(), "stop", "--dir", directory().string()});
        std::error_code ignored;
        std::filesystem::remove_all(directory(), ignored);
        if (done.errors.find("skipped: ") != std::string::npos)
            skip("private servers", done.errors);
        throw std::runtime_error("private servers did not start: " + done.errors);
    }
    variables_ = read_env(directory() / "env");
}

private_servers::~private_servers() {
    try {
        run({tool(), "stop", "--dir", directory().string()});
        std::error_code ignored;
        std::filesystem::remove_all(directory(), ignored);
    } catch (std::exception const& problem) {
        std::fprintf(stderr, "private servers: %s\n", problem.what());
    }
}

endpoint private_servers::amqp() const {
    return parse_uri(variable("AMQP_URL"));
}
endpoint private_servers::mariadb() const {
    return parse_uri(variable("BEDS_MARIADB_URI"));
}
endpoint private_servers::mongodb() const {
    return parse_uri(variable("BEDS_MONGODB_URI"));
}

} // namespace beds::test
