#pragma once

#include <beds/config/problem.hpp>
#include <beds/core/secret.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a node is told. Plain aggregates: an embedding program fills them in C++ and needs no TOML;
/// load.hpp fills them from files. Defaults stand here; bounds are checked by `check()` and listed,
/// key by key, in libbeds/doc/config-reference.md.
namespace beds::config {

/// Encryption of a connection to a server. There is no fall-back to plain text: when `enabled`, a
/// server without TLS is an error.
struct tls_settings {
    /// In TOML: true as soon as the table `tls` is there, unless it says otherwise.
    bool enabled = false;
    std::filesystem::path ca = {};   ///< PEM; empty: the certificates that the system trusts
    std::filesystem::path cert = {}; ///< PEM, this node's own certificate; together with `key`
    std::filesystem::path key = {};  ///< PEM, unencrypted
    bool verify = true; ///< certificate and host name of the server; false only for experiments

    friend bool operator==(const tls_settings&, const tls_settings&) = default;
};

/// `[id]`: who this node is.
struct id_settings {
    std::string env_name = "dev"; ///< loader's default: the environment that chose the overlay
    /// The operator's own mark for this configuration, free text; logged at the start.
    std::string version = {};
    /// Prefix of the DBA's objects, for example `ms`; empty: conventions unchecked.
    std::string wbid = {};
    /// Name in logs and database sessions; empty: the host name (`host_name()`).
    std::string node = {};

    friend bool operator==(const id_settings&, const id_settings&) = default;
};

/// Who creates exchanges and queues.
enum class declare_mode {
    active, ///< the node declares what it needs
    passive ///< the operator did; the node checks that everything exists
};

/// Kind of the request queues that carry writes.
enum class queue_kind { quorum, classic };

/// How many brokers of each kind one connection gets on this node. A broker is one thread with one
/// database session: these numbers are the throttle. Each 0 to 256.
struct broker_counts {
    std::uint32_t read = 0;
    std::uint32_t write = 0;
    std::uint32_t bulk = 0;
    std::uint32_t order = 1; ///< for writes of templates with `order_by`, beside those for writes

    friend bool operator==(const broker_counts&, const broker_counts&) = default;
};

/// `[broker_services.<role>]`: one RabbitMQ vhost with credentials of its own, and the brokers that
/// this node runs on it.
struct broker_service_settings {
    std::string host = "localhost";
    std::uint16_t port = 5672; ///< loader's default with TLS: 5671
    std::string vhost = "/";
    std::string user = {};  ///< required when `is_local`
    core::secret pass = {}; ///< required when `is_local`
    tls_settings tls = {};
    bool is_local = true; ///< this node plays the role; false: it only knows where the service is
    /// Prefix of every exchange and queue, for example `prod_`; at most 32 characters.
    std::string queue_tag = {};
    declare_mode declare = declare_mode::active;
    /// Accounts of other BEDS services, with blanks between them, that may use closed templates;
    /// `user` may, too.
    std::string services = {};
    bool strict_route = false;    ///< every operation's template must be the one in the routing key
    std::uint16_t prefetch = 256; ///< unacknowledged deliveries per broker, 1 to 65535
    std::uint32_t max_batch = 256; ///< operations that one broker takes together, 1 to 4096
    /// 1 s to 10 min; cannot be switched off. A batch's whole time stays below it.
    std::chrono::seconds heartbeat{30};
    /// Name look-up to open channel, 100 ms to 5 min.
    std::chrono::milliseconds connect_timeout{5000};
    /// Body of one message, 1 KiB to 128 MiB.
    std::size_t max_request_bytes = std::size_t{16} << 20;
    /// Above it: LIMIT_EXCEEDED; 1 KiB to 127 MiB.
    std::size_t max_reply_bytes = std::size_t{31} << 19;
    /// Rows of one message where the caller takes the reply in several, 1 KiB to 64 MiB.
    std::size_t reply_part_bytes = std::size_t{1} << 20;
    /// Messages that a request queue holds before it rejects, 1 to 100 million. Changing this, the
    /// delivery limit or the kind of a queue that exists is a topology conflict.
    std::uint32_t max_queue_length = 100'000;
    std::uint32_t delivery_limit = 20; ///< of quorum queues, 1 to 1000
    /// How far an application's clock may be behind this node's, 0 to 1 min: the deadlines that it
    /// gives, as times of day, count this much later.
    std::chrono::milliseconds clock_skew{0};
    /// How often a write that nobody waits for is tried before it is a dead letter, 1 to 100.
    std::uint32_t max_attempts = 5;
    queue_kind write_queues = queue_kind::quorum;        ///< of `*.write` and `*.bulk`
    std::map<std::string, broker_counts> instances = {}; ///< by connection name (rel, rec, …)

    friend bool operator==(const broker_service_settings&,
                           const broker_service_settings&) = default;
};

/// Which operations of one kind and shape, come together, a MariaDB or MySQL session may put into
/// one statement.
struct coalesce_features {
    bool fetch = false;
    bool find = false; ///< count and exists too
    bool insert = false;
    bool update = false;
    bool remove = false;
    bool call = false;      ///< also of `[write]` procedures; needs MariaDB
    bool returning = false; ///< keys that the database makes by `INSERT … RETURNING`; MariaDB 10.5

    friend bool operator==(const coalesce_features&, const coalesce_features&) = default;
};

/// `auto` is all of it, `off` nothing, otherwise the features' names with blanks between them, such
/// as `fetch find insert update delete`. Nothing: the text is neither.
std::optional<coalesce_features> parse_coalesce(std::string_view text);

/// `[rel_services.<name>]`: a MariaDB or MySQL database. The name is the connection's name.
struct rel_service_settings {
    std::string host = "localhost";
    std::uint16_t port = 3306;
    std::filesystem::path socket = {}; ///< Unix socket; when given, host and port are not used
    std::string user = {};             ///< required
    core::secret pass = {};            ///< in TOML required without `socket`; may be ""
    std::string database = {};         ///< required
    tls_settings tls = {};
    std::chrono::milliseconds connect_timeout{5000}; ///< 100 ms to 5 min
    bool inbox = true; ///< keep `beds_inbox` there, so that a write sent twice happens once
    /// How long it is known at least that a write happened, 1 min to 2160 h; older rows are
    /// deleted.
    std::chrono::seconds inbox_window{std::chrono::hours{24}};
    bool create_tables = false; ///< make `beds_inbox` where it is missing
    /// Operations that come together share statements: `auto` does what the server can do; see
    /// `parse_coalesce`. Results and effects are the same either way.
    std::string coalesce = "auto";
    bool required = true; ///< the node is not ready without it, and `start_timeout` counts for it

    friend bool operator==(const rel_service_settings&, const rel_service_settings&) = default;
};

/// `[rec_services.<name>]`: a MongoDB database. The name is the connection's name.
struct rec_service_settings {
    /// Connection string; secret, because it may hold a password. When given, host, port, user,
    /// pass and tls are not used.
    core::secret uri = {};
    std::string host = "localhost";
    std::uint16_t port = 27017;
    std::string user = {}; ///< empty: no authentication
    core::secret pass = {};
    std::string auth_source = "admin"; ///< database that holds the user
    std::string replica_set = {};      ///< empty: a single server
    std::string database = {};         ///< required, also with `uri`
    tls_settings tls = {};
    /// Choosing a server included, 100 ms to 5 min.
    std::chrono::milliseconds connect_timeout{5000};
    bool inbox = true; ///< keep `beds_inbox` there, so that a write sent twice happens once
    /// As for MariaDB; `call` and `returning` mean nothing here.
    std::string coalesce = "auto";
    bool required = true; ///< the node is not ready without it, and `start_timeout` counts for it

    friend bool operator==(const rec_service_settings&, const rec_service_settings&) = default;
};

/// May a template read or write its table itself, instead of the DBA's views and procedures?
enum class direct_access { allow, deny };

/// What happens when a template is refused, or does not fit the live database.
enum class mismatch_action {
    stop,      ///< the node does not start; found later, the template is not served until it fits
    leave_out, ///< the template is left out with a warning; for development
    warn,      ///< of the live database: it is served and told about
    ignore     ///< the live database is not looked at
};

/// `[templates]`
struct templates_settings {
    std::filesystem::path directory = "templates"; ///< in TOML: relative to the file that names it
    direct_access direct = direct_access::allow;
    mismatch_action on_mismatch = mismatch_action::stop;

    friend bool operator==(const templates_settings&, const templates_settings&) = default;
};

enum class log_level { debug, info, warning, error };
enum class log_target { console, journald };

/// `[log]`: read by bedsd; an embedding program hands its own sink to the node.
struct log_settings {
    log_level level = log_level::info; ///< the least that is written
    log_target target = log_target::console;

    friend bool operator==(const log_settings&, const log_settings&) = default;
};

/// Where the admin pages are served, taken from `127.0.0.1:9464` or `[::1]:9464`.
struct listen_address {
    std::string address = {}; ///< IPv4 or IPv6, without brackets
    std::uint16_t port = 0;   ///< 0: any free one
    bool loopback = false;    ///< only this machine reaches it
};
/// Nothing when the text is not an address with a port. Host names are not looked up.
std::optional<listen_address> parse_listen(std::string_view text);

/// May the admin pages be served on an address that other machines reach?
enum class remote_access { deny, allow };

/// `[admin]`: how the node is run.
struct admin_settings {
    std::string listen = {}; ///< of the admin pages, as `parse_listen` reads it; empty: none
    /// The pages are not encrypted and ask nobody who he is; they show names of templates and
    /// servers, and no data.
    remote_access remote = remote_access::deny;
    /// How long required servers may stay away at start before the node gives up; nothing: it keeps
    /// trying. 100 ms to 24 h.
    std::optional<std::chrono::milliseconds> start_timeout = {};
    /// To finish and reply on an orderly stop, 0 to 1 h.
    std::chrono::milliseconds drain_timeout{10'000};

    friend bool operator==(const admin_settings&, const admin_settings&) = default;
};

/// `[cursors]`: what the next page of a find is asked for with.
struct cursor_settings {
    /// Seals them; 32 bytes at least, the same on every node of a role. Empty: made of each role's
    /// account.
    core::secret key = {};
    core::secret previous_key = {}; ///< cursors that it sealed are good too, while `key` is new
    std::chrono::seconds lifetime{3600}; ///< 1 s to 720 h

    friend bool operator==(const cursor_settings&, const cursor_settings&) = default;
};

struct settings {
    id_settings id = {};
    /// By role: app_server, admin, …
    std::map<std::string, broker_service_settings> broker_services = {};
    std::map<std::string, rel_service_settings> rel_services = {}; ///< by connection name
    std::map<std::string, rec_service_settings> rec_services = {}; ///< by connection name
    templates_settings templates = {};
    cursor_settings cursors = {};
    log_settings log = {};
    admin_settings admin = {};

    friend bool operator==(const settings&, const settings&) = default;
};

/// Everything that is wrong: values out of bounds, keys that are required and empty, names that are
/// not allowed or used twice, instances for a connection that is not configured. Empty: all is
/// well. Opens no files and no sockets. `other_connections` are those that the embedding program
/// registers on its node by itself.
std::vector<problem> check(const settings& value,
                           const std::vector<std::string>& other_connections = {});

/// `check()` that throws `core::error` (invalid_configuration) with every problem in its message.
void validate(const settings& value, const std::vector<std::string>& other_connections = {});

/// The machine's host name up to the first dot; the default of `id.node`.
std::string host_name();

} // namespace beds::config
