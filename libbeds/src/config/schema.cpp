#include "config/schema.hpp"

#include <beds/core/error.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <string>
#include <type_traits>

namespace beds::config::schema {
namespace {

using std::string_view;

template <class Enum>
constexpr std::array<string_view, 0> words_of{};
template <>
constexpr std::array<string_view, 2> words_of<declare_mode>{"active", "passive"};
template <>
constexpr std::array<string_view, 2> words_of<queue_kind>{"quorum", "classic"};
template <>
constexpr std::array<string_view, 2> words_of<direct_access>{"allow", "deny"};
template <>
constexpr std::array<string_view, 2> words_of<remote_access>{"deny", "allow"};
template <>
constexpr std::array<string_view, 4> words_of<mismatch_action>{"stop", "leave_out", "warn",
                                                               "ignore"};
template <>
constexpr std::array<string_view, 4> words_of<log_level>{"debug", "info", "warning", "error"};
template <>
constexpr std::array<string_view, 2> words_of<log_target>{"console", "journald"};

template <class Member>
struct member_of;
template <class Owner, class Value>
struct member_of<Value Owner::*> {
    using owner = Owner;
    using value = Value;
};

template <auto Member>
value_ref at(void* owner) {
    using traits = member_of<decltype(Member)>;
    auto& value = static_cast<typename traits::owner*>(owner)->*Member;
    using type = typename traits::value;
    if constexpr (std::is_enum_v<type>) {
        return choice_ref{words_of<type>, &value,
                          [](const void* target) {
                              return static_cast<std::size_t>(*static_cast<const type*>(target));
                          },
                          [](void* target, std::size_t index) {
                              *static_cast<type*>(target) = static_cast<type>(index);
                          }};
    } else {
        return &value;
    }
}

bool all_of(string_view text, string_view extra) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               extra.find(c) != string_view::npos;
    });
}

/// Names of roles, connections and environments: they become parts of queue and file names.
bool is_name(string_view text) {
    return !text.empty() && text.size() <= 32 && text.front() >= 'a' && text.front() <= 'z' &&
           all_of(text, "_");
}

constexpr text_rule environment_name{is_name,
                                     "a name of lower-case letters, digits and _, at most 32"};
constexpr text_rule wbid_rule{
    [](string_view text) { return text.empty() || (text.size() <= 8 && is_name(text)); },
    "a prefix of lower-case letters, digits and _, at most 8"};
constexpr text_rule tag_rule{
    [](string_view text) { return text.size() <= 32 && all_of(text, "_-."); },
    "lower-case letters, digits, _ - and ., at most 32"};
constexpr text_rule node_rule{
    [](string_view text) {
        return text.size() <= 64 && std::none_of(text.begin(), text.end(), [](char c) {
                   return static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
               });
    },
    "a name without blanks, at most 64 bytes"};
/// What has a colon is an address of IPv6, or a port that belongs elsewhere. Brackets serve to tell
/// the two apart; where a port has a key of its own, resolvers do not know them.
bool is_host(string_view text) {
    if (text.empty() || text.find_first_of("/@ \t") != string_view::npos) {
        return false;
    }
    if (text.find(':') == string_view::npos) {
        return true;
    }
    in6_addr unused{};
    return ::inet_pton(AF_INET6, std::string{text.substr(0, text.find('%'))}.c_str(), &unused) == 1;
}
constexpr text_rule host_rule{is_host,
                              "a host name or address (of IPv6 without brackets); port, account "
                              "and password have keys of their own",
                              false};
constexpr text_rule not_empty{[](string_view text) { return !text.empty(); }, "text, not empty"};
constexpr text_rule listen_rule{
    [](string_view text) { return text.empty() || parse_listen(text).has_value(); },
    "an address with a port, such as \"127.0.0.1:9464\" or \"[::1]:9464\", or \"\""};

constexpr text_rule coalesce_rule{
    [](string_view text) { return parse_coalesce(text).has_value(); },
    "\"auto\", \"off\", or some of \"fetch find insert update delete call returning\""};

constexpr std::uint64_t second = 1000;
constexpr std::uint64_t minute = 60 * second;
constexpr std::uint64_t hour = 60 * minute;
constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

constexpr key id_keys[]{
    {.name = "env_name",
     .at = at<&id_settings::env_name>,
     .doc = "Name of the environment; part of event ids.",
     .rule = environment_name,
     .default_note = "`BEDS_ENV`, or `\"dev\"`"},
    {.name = "version",
     .at = at<&id_settings::version>,
     .doc = "The operator's own mark for this configuration; the step `configuration` of "
            "the start shows it in the log."},
    {.name = "wbid",
     .at = at<&id_settings::wbid>,
     .doc = "Prefix of the DBA's objects (`ms`: `ms_accounts`) and of event ids. Empty: the naming "
            "conventions are not checked.",
     .rule = wbid_rule},
    {.name = "node",
     .at = at<&id_settings::node>,
     .doc = "Name of this node in logs and database sessions.",
     .rule = node_rule,
     .default_note = "the host name"},
};

constexpr key tls_keys[]{
    {.name = "enabled",
     .at = at<&tls_settings::enabled>,
     .doc = "TLS, without a fall-back to plain text.",
     .default_note = "`true` when the table `tls` is there, else `false`"},
    {.name = "ca",
     .at = at<&tls_settings::ca>,
     .doc = "PEM file of the certificates to trust. Empty: those of the system."},
    {.name = "cert",
     .at = at<&tls_settings::cert>,
     .doc = "PEM file of this node's certificate; together with `key`."},
    {.name = "key",
     .at = at<&tls_settings::key>,
     .doc = "PEM file of this node's private key, unencrypted."},
    {.name = "verify",
     .at = at<&tls_settings::verify>,
     .doc = "Check the server's certificate and host name. `false` only for experiments."},
};

using broker = broker_service_settings;
constexpr key broker_keys[]{
    {.name = "host", .at = at<&broker::host>, .doc = "RabbitMQ's address.", .rule = host_rule},
    {.name = "port",
     .at = at<&broker::port>,
     .doc = "RabbitMQ's port.",
     .low = 1,
     .high = 65535,
     .default_note = "`5672`; with TLS `5671`"},
    {.name = "vhost",
     .at = at<&broker::vhost>,
     .doc = "Virtual host of this role.",
     .rule = not_empty},
    {.name = "user",
     .at = at<&broker::user>,
     .doc = "Account of this role. Required when the role is played here."},
    {.name = "pass",
     .at = at<&broker::pass>,
     .doc = "Its password. Required when the role is played here."},
    {.name = "is_local",
     .at = at<&broker::is_local>,
     .doc = "`true`: this node plays the role. `false`: it only knows where the service is."},
    {.name = "queue_tag",
     .at = at<&broker::queue_tag>,
     .doc = "Prefix of every exchange and queue, so that environments can share one RabbitMQ.",
     .rule = tag_rule},
    {.name = "declare",
     .at = at<&broker::declare>,
     .doc = "`active`: the node declares exchanges and queues. `passive`: the operator did "
            "(`bedsctl topology --definitions`); the "
            "node checks that they exist."},
    {.name = "services",
     .at = at<&broker::services>,
     .doc = "RabbitMQ accounts of other BEDS services, with blanks between them: they may use "
            "templates with `closed = true`, as `user` may."},
    {.name = "strict_route",
     .at = at<&broker::strict_route>,
     .doc = "Every operation's template must be the one in the routing key, and `beds.events` is a "
            "topic exchange, so that RabbitMQ's topic "
            "permissions grant rights per template."},
    {.name = "prefetch",
     .at = at<&broker::prefetch>,
     .doc = "Unacknowledged deliveries that one broker holds.",
     .low = 1,
     .high = 65535},
    {.name = "max_batch",
     .at = at<&broker::max_batch>,
     .doc = "Operations that one broker takes together.",
     .low = 1,
     .high = 4096},
    {.name = "heartbeat",
     .at = at<&broker::heartbeat>,
     .doc = "AMQP heartbeat, in whole seconds. A batch's whole time stays below it.",
     .low = second,
     .high = 10 * minute},
    {.name = "connect_timeout",
     .at = at<&broker::connect_timeout>,
     .doc = "From name look-up to open channel.",
     .low = 100,
     .high = 5 * minute},
    {.name = "clock_skew",
     .at = at<&broker::clock_skew>,
     .doc =
         "How far an application's clock may be behind this node's: the deadlines that it gives, "
         "as times of day, count this much later.",
     .low = 0,
     .high = 60'000},
    {.name = "max_request_bytes",
     .at = at<&broker::max_request_bytes>,
     .doc = "Body of one request message; a larger one is refused.",
     .low = kib,
     .high = 128 * mib,
     .unit = unit::bytes},
    {.name = "max_reply_bytes",
     .at = at<&broker::max_reply_bytes>,
     .doc =
         "Rows, keys and out values in one reply message; a result that no longer fits is "
         "`LIMIT_EXCEEDED`. Stay below RabbitMQ's `max_message_size` (16 MiB from 4.0 on, 128 MiB "
         "before): a larger message would end the connection. All replies of one batch of a broker "
         "hold at most 32 MiB beside one reply; what does not fit is read again and answered after "
         "them.",
     .low = kib,
     .high = 127 * mib,
     .unit = unit::bytes},
    {.name = "reply_part_bytes",
     .at = at<&broker::reply_part_bytes>,
     .doc = "Rows of one message where the caller takes a large find in several (header "
            "`beds-parts`).",
     .low = kib,
     .high = 64 * mib,
     .unit = unit::bytes},
    {.name = "max_queue_length",
     .at = at<&broker::max_queue_length>,
     .doc = "Messages that a request queue holds before it rejects more. Changing this for a queue "
            "that exists is a topology conflict.",
     .low = 1,
     .high = 100'000'000},
    {.name = "delivery_limit",
     .at = at<&broker::delivery_limit>,
     .doc = "Deliveries of one message from a quorum queue before it is dead-lettered. Changing "
            "this for a queue that exists is a topology conflict.",
     .low = 1,
     .high = 1000},
    {.name = "max_attempts",
     .at = at<&broker::max_attempts>,
     .doc =
         "How often a write whose sender asked for no reply is tried, when it fails for a while, "
         "before it becomes a dead letter. Waiting for a database that is away is no attempt.",
     .low = 1,
     .high = 100},
    {.name = "write_queues",
     .at = at<&broker::write_queues>,
     .doc = "Kind of the queues `*.write` and `*.bulk`. Changing this for a queue that exists is a "
            "topology conflict."},
};

constexpr key instance_keys[]{
    {.name = "read",
     .at = at<&broker_counts::read>,
     .doc = "Brokers for reads (rBroker).",
     .low = 0,
     .high = 256},
    {.name = "write",
     .at = at<&broker_counts::write>,
     .doc = "Brokers for writes (wBroker).",
     .low = 0,
     .high = 256},
    {.name = "order",
     .at = at<&broker_counts::order>,
     .doc = "Brokers for writes of templates with `order_by`, where there are such and `write` is "
            "not 0.",
     .low = 0,
     .high = 256},
    {.name = "bulk",
     .at = at<&broker_counts::bulk>,
     .doc = "Brokers for long jobs (mBroker).",
     .low = 0,
     .high = 256},
};

using rel = rel_service_settings;
constexpr key rel_keys[]{
    {.name = "host", .at = at<&rel::host>, .doc = "The server's address.", .rule = host_rule},
    {.name = "port", .at = at<&rel::port>, .doc = "The server's port.", .low = 1, .high = 65535},
    {.name = "socket",
     .at = at<&rel::socket>,
     .doc = "Unix socket of a server on this machine; when given, `host` and `port` are not used."},
    {.name = "user", .at = at<&rel::user>, .doc = "Account of the node. Required."},
    {.name = "pass",
     .at = at<&rel::pass>,
     .doc = "Its password. Required without `socket`; may be `\"\"`."},
    {.name = "database", .at = at<&rel::database>, .doc = "Name of the database. Required."},
    {.name = "connect_timeout",
     .at = at<&rel::connect_timeout>,
     .doc = "From name look-up to ready session.",
     .low = 100,
     .high = 5 * minute},
    {.name = "inbox",
     .at = at<&rel::inbox>,
     .doc = "Keep the table `beds_inbox` there, so that a write sent twice happens once."},
    {.name = "inbox_window",
     .at = at<&rel::inbox_window>,
     .doc = "How long `beds_inbox` remembers a write at least, by the clock of the database: "
            "whoever sends it again later than that may have it happen again. Longer than any "
            "sender, and any queue, keeps a message. Older rows are deleted, few at a time, by "
            "one node after the other; needs the right to DELETE there.",
     .low = minute,
     .high = 2160 * hour},
    {.name = "create_tables",
     .at = at<&rel::create_tables>,
     .doc = "Make the table `beds_inbox` where it is missing; needs the right to CREATE. `false`: "
            "the DBA does, with what `bedsctl schema` prints."},
    {.name = "coalesce",
     .at = at<&rel::coalesce>,
     .doc = "Operations of one kind that come together share statements. `auto`: as far as the "
            "server can; `off`: each has its own; or the kinds that do, with blanks between them: "
            "`fetch find insert update delete call returning`. (`find`: count and exists too; "
            "`call` and `returning` need MariaDB.) Answers and effects are the same.",
     .rule = coalesce_rule},
    {.name = "required",
     .at = at<&rel::required>,
     .doc = "The node is not ready without it, and `admin.start_timeout` counts for it. A role of "
            "this node must have instances for it."},
};

using rec = rec_service_settings;
constexpr key rec_keys[]{
    {.name = "uri",
     .at = at<&rec::uri>,
     .doc = "MongoDB connection string. Without a write concern in it, writes ask for `w=majority` "
            "and "
            "`journal=true`. When given, `host`, `port`, `user`, `pass`, `auth_source`, "
            "`replica_set` and `tls` are not used."},
    {.name = "host", .at = at<&rec::host>, .doc = "The server's address.", .rule = host_rule},
    {.name = "port", .at = at<&rec::port>, .doc = "The server's port.", .low = 1, .high = 65535},
    {.name = "user", .at = at<&rec::user>, .doc = "Account of the node. Empty: no authentication."},
    {.name = "pass", .at = at<&rec::pass>, .doc = "Its password; together with `user`."},
    {.name = "auth_source",
     .at = at<&rec::auth_source>,
     .doc = "Database that holds the account.",
     .rule = not_empty},
    {.name = "replica_set",
     .at = at<&rec::replica_set>,
     .doc = "Name of the replica set. Empty: a single server."},
    {.name = "database", .at = at<&rec::database>, .doc = "Name of the database. Required."},
    {.name = "connect_timeout",
     .at = at<&rec::connect_timeout>,
     .doc = "From name look-up to ready session; choosing a server included.",
     .low = 100,
     .high = 5 * minute},
    {.name = "inbox",
     .at = at<&rec::inbox>,
     .doc = "Keep the collection `beds_inbox` there, so that a write sent twice happens once. "
            "`false`: every write is `at_least_once`."},
    {.name = "coalesce",
     .at = at<&rec::coalesce>,
     .doc = "Operations of one kind that come together share commands: `auto`, `off`, or the kinds "
            "that do, with blanks between them: `fetch find insert update delete`. (`find`: count "
            "too.) Answers and effects are the same.",
     .rule = coalesce_rule},
    {.name = "required",
     .at = at<&rec::required>,
     .doc = "The node is not ready without it, and `admin.start_timeout` counts for it. A role of "
            "this node must have instances for it."},
};

constexpr key templates_keys[]{
    {.name = "directory",
     .at = at<&templates_settings::directory>,
     .doc = "Folder of the template files; relative to the file that names it."},
    {.name = "direct",
     .at = at<&templates_settings::direct>,
     .doc =
         "`deny` refuses every template with `store = \"rel\"` that reads or writes a table itself "
         "instead of a view and procedures."},
    {.name = "on_mismatch",
     .at = at<&templates_settings::on_mismatch>,
     .doc = "When a template is refused, by itself or by its database's adapter, or does not fit "
            "the tables, rights and procedures of a live MariaDB, or the indexes, rights and "
            "pipelines of a live MongoDB: `stop` the node's start, or "
            "`leave_out` the template with a warning (for development). `warn` and `ignore` are "
            "for the live database alone: told and served, or not looked at. What a "
            "reload brings, and what shows when the node runs already because the database was "
            "away before: see operating.md."},
};

constexpr key cursors_keys[]{
    {.name = "key",
     .at = at<&cursor_settings::key>,
     .doc = "Encrypts and signs the cursors of `find`: at least 32 bytes that nobody can guess "
            "(`openssl rand -base64 32`), the same on every node that shares a role. Not set: made "
            "of the role's RabbitMQ account and password, which its nodes share; set it when they "
            "have accounts of their own, or a password that can be guessed.",
     .default_note = "made of the role's account"},
    {.name = "previous_key",
     .at = at<&cursor_settings::previous_key>,
     .doc =
         "Cursors that it sealed are good, too: while nodes get a new `key` one after the other, "
         "and `lifetime` longer."},
    {.name = "lifetime",
     .at = at<&cursor_settings::lifetime>,
     .doc = "How long after a page the next one can be asked for.",
     .low = second,
     .high = 720 * hour},
};

constexpr key log_keys[]{
    {.name = "level", .at = at<&log_settings::level>, .doc = "The least that is written."},
    {.name = "target",
     .at = at<&log_settings::target>,
     .doc = "`console`: standard error. `journald`: structured, with `BEDS_ID` and `BEDS_SOURCE`."},
};

constexpr key admin_keys[]{
    {.name = "listen",
     .at = at<&admin_settings::listen>,
     .doc = "Where `/live`, `/ready`, `/status` and `/metrics` are served over HTTP; port 0 is any "
            "free one, which the log names. Empty: nowhere.",
     .rule = listen_rule},
    {.name = "remote",
     .at = at<&admin_settings::remote>,
     .doc = "`deny`: `listen` must be an address of this machine alone. The pages are neither "
            "encrypted nor protected; they hold names of templates and servers, and no data."},
    {.name = "start_timeout",
     .at = at<&admin_settings::start_timeout>,
     .doc = "How long RabbitMQ and required databases may stay away at start before the node gives "
            "up.",
     .low = 100,
     .high = 24 * hour,
     .default_note = "none: it keeps trying"},
    {.name = "drain_timeout",
     .at = at<&admin_settings::drain_timeout>,
     .doc = "To finish and answer what is at hand on an orderly stop.",
     .low = 0,
     .high = hour},
};

template <class Map>
std::vector<path> list_map(string_view root, const Map& map, string_view leaf = {}) {
    std::vector<path> found;
    for (const auto& [name, value] : map) {
        found.push_back({std::string{root}, name});
        if (!leaf.empty()) {
            found.back().emplace_back(leaf);
        }
    }
    return found;
}

std::vector<section> make_sections() {
    return {
        {{"id"},
         "Who this node is.",
         id_keys,
         [](settings& all, const path&) -> void* { return &all.id; },
         [](const settings&) { return std::vector<path>{{"id"}}; }},
        {{"broker_services", "*"},
         "A role, by name (`app_server`, `admin`, `segundo`, `tercero`, …): one RabbitMQ virtual "
         "host with credentials of its own, and the brokers that this node runs on it.",
         broker_keys,
         [](settings& all, const path& where) -> void* { return &all.broker_services[where[1]]; },
         [](const settings& all) { return list_map("broker_services", all.broker_services); }},
        {{"broker_services", "*", "tls"},
         "TLS to RabbitMQ.",
         tls_keys,
         [](settings& all, const path& where) -> void* {
             return &all.broker_services[where[1]].tls;
         },
         [](const settings& all) {
             return list_map("broker_services", all.broker_services, "tls");
         }},
        {{"broker_services", "*", "instances", "*"},
         "Brokers for one connection, by its name in `rel_services` or `rec_services`: `rel = { "
         "read = 4, write = 2, bulk = 1 }`. A broker is one thread with one database session.",
         instance_keys,
         [](settings& all, const path& where) -> void* {
             return &all.broker_services[where[1]].instances[where[3]];
         },
         [](const settings& all) {
             std::vector<path> found;
             for (const auto& [role, service] : all.broker_services) {
                 for (const auto& [connection, counts] : service.instances) {
                     found.push_back({"broker_services", role, "instances", connection});
                 }
             }
             return found;
         }},
        {{"rel_services", "*"},
         "A MariaDB or MySQL database, by the name of its connection; the first is called `rel`.",
         rel_keys,
         [](settings& all, const path& where) -> void* { return &all.rel_services[where[1]]; },
         [](const settings& all) { return list_map("rel_services", all.rel_services); }},
        {{"rel_services", "*", "tls"},
         "TLS to the database.",
         tls_keys,
         [](settings& all, const path& where) -> void* { return &all.rel_services[where[1]].tls; },
         [](const settings& all) { return list_map("rel_services", all.rel_services, "tls"); }},
        {{"rec_services", "*"},
         "A MongoDB database, by the name of its connection; the first is called `rec`.",
         rec_keys,
         [](settings& all, const path& where) -> void* { return &all.rec_services[where[1]]; },
         [](const settings& all) { return list_map("rec_services", all.rec_services); }},
        {{"rec_services", "*", "tls"},
         "TLS to the database.",
         tls_keys,
         [](settings& all, const path& where) -> void* { return &all.rec_services[where[1]].tls; },
         [](const settings& all) { return list_map("rec_services", all.rec_services, "tls"); }},
        {{"templates"},
         "The contracts that this node serves.",
         templates_keys,
         [](settings& all, const path&) -> void* { return &all.templates; },
         [](const settings&) { return std::vector<path>{{"templates"}}; }},
        {{"cursors"},
         "What the next page of a `find` is asked for with.",
         cursors_keys,
         [](settings& all, const path&) -> void* { return &all.cursors; },
         [](const settings&) { return std::vector<path>{{"cursors"}}; }},
        {{"log"},
         "What the daemon writes, and where.",
         log_keys,
         [](settings& all, const path&) -> void* { return &all.log; },
         [](const settings&) { return std::vector<path>{{"log"}}; }},
        {{"admin"},
         "How the node is run.",
         admin_keys,
         [](settings& all, const path&) -> void* { return &all.admin; },
         [](const settings&) { return std::vector<path>{{"admin"}}; }},
    };
}

std::string bounds(const key& which, std::string (*show)(std::uint64_t)) {
    if (which.low == 0 && which.high == 0) {
        return "";
    }
    return " from " + show(which.low) + " to " + show(which.high);
}

std::string show_count(std::uint64_t value) {
    return std::to_string(value);
}
std::string show_duration(std::uint64_t value) {
    return format_duration(std::chrono::milliseconds{static_cast<std::int64_t>(value)});
}
std::string show_size(std::uint64_t value) {
    return format_size(value);
}

/// Fits one value of a variant into one visitor per kind.
template <class... Callables>
struct overloaded : Callables... {
    using Callables::operator()...;
};
template <class... Callables>
overloaded(Callables...) -> overloaded<Callables...>;

/// An owner of every kind, to learn a key's type and default from.
value_ref prototype(const key& which) {
    // Every key belongs to exactly one section; its owner is made fresh, so values are the
    // defaults.
    thread_local settings scratch;
    for (const auto& candidate : sections()) {
        if (&which >= candidate.keys.data() &&
            &which < candidate.keys.data() + candidate.keys.size()) {
            path where;
            for (const auto part : candidate.pattern) {
                where.emplace_back(part);
            }
            return which.at(candidate.at(scratch, where));
        }
    }
    throw core::error{core::errc::internal, "a key outside of the table of keys"};
}

void add(std::vector<problem>& found, std::string key_path, std::string wanted,
         std::string message) {
    found.push_back({.file = {},
                     .line = 0,
                     .column = 0,
                     .key = std::move(key_path),
                     .expected = std::move(wanted),
                     .message = std::move(message)});
}

void require(std::vector<problem>& found, const path& where, string_view key_name, bool given) {
    if (!given) {
        add(found, join(where, key_name), "a value", "is required and not given");
    }
}

void check_tls(std::vector<problem>& found, const path& where, const tls_settings& tls) {
    if (tls.enabled && tls.cert.empty() != tls.key.empty()) {
        const auto* missing = tls.cert.empty() ? "cert" : "key";
        add(found, join(where, missing), "a path", "is required: `cert` and `key` go together");
    }
}

void check_name(std::vector<problem>& found, const path& where, string_view what) {
    static constexpr string_view wanted = "a name of lower-case letters, digits and _, at most 32";
    if (!is_name(where.back())) {
        add(found, join(where), std::string{wanted},
            "is not allowed as a " + std::string{what} + "; expected " + std::string{wanted});
    }
}

/// Queues `{tag}{connection}.{class}` must not meet the names that BEDS gives itself.
constexpr std::array<string_view, 4> reserved_connections{"beds", "catalog", "dead", "reply"};

void check_connection(std::vector<problem>& found, const path& where) {
    check_name(found, where, "connection");
    if (std::find(reserved_connections.begin(), reserved_connections.end(), where.back()) !=
        reserved_connections.end()) {
        add(found, join(where), "another name", "is a name that BEDS keeps for itself");
    }
}

} // namespace

const key* section::find(std::string_view name) const {
    const auto found =
        std::find_if(keys.begin(), keys.end(), [&](const key& each) { return each.name == name; });
    return found == keys.end() ? nullptr : &*found;
}

std::span<const section> sections() {
    static const std::vector<section> all = make_sections();
    return all;
}

bool begins(const section& candidate, const path& where) {
    if (where.size() > candidate.pattern.size()) {
        return false;
    }
    return std::equal(where.begin(), where.end(), candidate.pattern.begin(),
                      [](const std::string& part, string_view wanted) {
                          return wanted == "*" || part == wanted;
                      });
}

bool matches(const section& candidate, const path& where) {
    return where.size() == candidate.pattern.size() && begins(candidate, where);
}

std::string quote(std::string_view text) {
    static constexpr string_view digits = "0123456789ABCDEF";
    std::string quoted = "\"";
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (code < 0x20 || code == 0x7f) {
            quoted += "\\u00";
            quoted += digits[code >> 4U];
            quoted += digits[code & 0xfU];
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

std::string join(const path& where) {
    std::string joined;
    for (const auto& part : where) {
        if (!joined.empty()) {
            joined += '.';
        }
        const bool bare = !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '_' || c == '-' || c == '*';
        });
        joined += bare ? part : quote(part);
    }
    return joined;
}

std::string join(const path& where, std::string_view key_name) {
    path longer = where;
    longer.emplace_back(key_name);
    return join(longer);
}

bool is_secret(const key& which) {
    return std::holds_alternative<core::secret*>(prototype(which));
}

std::string expected(const key& which) {
    if (which.rule.fits != nullptr) {
        return std::string{which.rule.expected};
    }
    const auto integer = [&](const auto*) {
        return which.unit == unit::bytes ? "a number of bytes" + bounds(which, show_size) +
                                               ", such as 65536, \"64KiB\" or \"16MiB\""
                                         : "an integer" + bounds(which, show_count);
    };
    const auto duration = [&](string_view what) {
        return std::string{what} + bounds(which, show_duration) + ", such as \"500ms\" or \"2s\"";
    };
    return std::visit(
        overloaded{
            [](const std::string*) { return std::string{"text"}; },
            [](const std::filesystem::path*) { return std::string{"a path"}; },
            [](const core::secret*) { return std::string{"text"}; },
            [](const bool*) { return std::string{"true or false"}; },
            [&](const std::uint16_t* value) { return integer(value); },
            [&](const std::uint32_t* value) { return integer(value); },
            [&](const std::size_t* value) { return integer(value); },
            [&](const std::chrono::seconds*) {
                return "a duration in whole seconds" + bounds(which, show_duration) +
                       ", such as \"30s\" or \"2m\"";
            },
            [&](const std::chrono::milliseconds*) { return duration("a duration"); },
            [&](const std::optional<std::chrono::milliseconds>*) { return duration("a duration"); },
            [](const choice_ref& choice) {
                std::string text = "one of ";
                for (std::size_t i = 0; i < choice.words.size(); ++i) {
                    text += (i == 0 ? "" : ", ") + quote(choice.words[i]);
                }
                return text;
            }},
        prototype(which));
}

std::optional<std::string> breaks(const key& which, const value_ref& value) {
    const auto within = [&](std::uint64_t number, const std::string& shown) {
        if ((which.low == 0 && which.high == 0) || (number >= which.low && number <= which.high)) {
            return std::optional<std::string>{};
        }
        return std::optional{"must be " + expected(which) + ", not " + shown};
    };
    const auto duration = [&](std::chrono::milliseconds span) {
        // A negative duration becomes a huge number and so breaks every upper bound.
        return within(static_cast<std::uint64_t>(span.count()), format_duration(span));
    };
    return std::visit(
        overloaded{
            [&](const std::string* text) -> std::optional<std::string> {
                if (which.rule.fits != nullptr && !which.rule.fits(*text)) {
                    return "must be " + expected(which) +
                           (which.rule.tells_value ? ", not " + quote(*text) : std::string{});
                }
                return std::nullopt;
            },
            [](const std::filesystem::path*) { return std::optional<std::string>{}; },
            [](const core::secret*) { return std::optional<std::string>{}; },
            [](const bool*) { return std::optional<std::string>{}; },
            [&](const std::uint16_t* number) { return within(*number, std::to_string(*number)); },
            [&](const std::uint32_t* number) { return within(*number, std::to_string(*number)); },
            [&](const std::size_t* number) {
                return within(*number, which.unit == unit::bytes ? format_size(*number)
                                                                 : std::to_string(*number));
            },
            [&](const std::chrono::seconds* span) {
                return duration(std::chrono::milliseconds{*span});
            },
            [&](const std::chrono::milliseconds* span) { return duration(*span); },
            [&](const std::optional<std::chrono::milliseconds>* span) {
                return span->has_value() ? duration(**span) : std::optional<std::string>{};
            },
            [&](const choice_ref& choice) -> std::optional<std::string> {
                if (choice.get(choice.target) >= choice.words.size()) {
                    return "must be " + expected(which);
                }
                return std::nullopt;
            }},
        value);
}

std::optional<std::string> format(const key& which, const value_ref& value) {
    using result = std::optional<std::string>;
    return std::visit(
        overloaded{
            [](const std::string* text) -> result { return quote(*text); },
            [](const std::filesystem::path* file) -> result { return quote(file->string()); },
            [](const core::secret* hidden) -> result {
                return hidden->empty() ? result{} : quote(core::redacted);
            },
            [](const bool* flag) -> result { return *flag ? "true" : "false"; },
            [](const std::uint16_t* number) -> result { return std::to_string(*number); },
            [](const std::uint32_t* number) -> result { return std::to_string(*number); },
            [&](const std::size_t* number) -> result {
                return which.unit == unit::bytes ? quote(format_size(*number))
                                                 : std::to_string(*number);
            },
            [](const std::chrono::seconds* span) -> result {
                return quote(format_duration(*span));
            },
            [](const std::chrono::milliseconds* span) -> result {
                return quote(format_duration(*span));
            },
            [](const std::optional<std::chrono::milliseconds>* span) -> result {
                return span->has_value() ? result{quote(format_duration(**span))} : result{};
            },
            [](const choice_ref& choice) -> result {
                return quote(choice.words[choice.get(choice.target)]);
            }},
        value);
}

namespace {

struct suffix {
    string_view text;
    std::uint64_t factor;
};

/// Digits and a suffix; nothing when it does not fit or would overflow.
std::optional<std::uint64_t> parse_scaled(string_view text, std::span<const suffix> suffixes) {
    std::uint64_t number = 0;
    const auto* last = text.data() + text.size();
    const auto [end, failure] = std::from_chars(text.data(), last, number);
    if (failure != std::errc{} || number > 1'000'000'000'000ULL) {
        return std::nullopt;
    }
    const string_view rest{end, static_cast<std::size_t>(last - end)};
    for (const auto& each : suffixes) {
        if (rest == each.text) {
            return number * each.factor;
        }
    }
    return std::nullopt;
}

constexpr suffix durations[]{{"h", hour}, {"m", minute}, {"s", second}, {"ms", 1}};
constexpr suffix sizes[]{{"GiB", 1024 * mib}, {"MiB", mib}, {"KiB", kib}, {"", 1}};

std::string format_scaled(std::uint64_t value, std::span<const suffix> suffixes) {
    for (const auto& each : suffixes) {
        if (value % each.factor == 0 && value != 0) {
            return std::to_string(value / each.factor) + std::string{each.text};
        }
    }
    return "";
}

} // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    const auto parsed = parse_scaled(text, durations);
    // A number that large is a mistake of its own; the bounds of every key are far below.
    if (!parsed || *parsed > 1'000'000 * hour) {
        return std::nullopt;
    }
    return std::chrono::milliseconds{static_cast<std::int64_t>(*parsed)};
}

std::string format_duration(std::chrono::milliseconds value) {
    if (value.count() < 0) {
        return std::to_string(value.count()) + "ms";
    }
    return value.count() == 0 ? "0s"
                              : format_scaled(static_cast<std::uint64_t>(value.count()), durations);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    return parse_scaled(text, sizes);
}

std::string format_size(std::uint64_t value) {
    return value == 0 ? "0" : format_scaled(value, sizes);
}

namespace {

void check_cursors(std::vector<problem>& found, const cursor_settings& given) {
    constexpr std::size_t least = 32;
    for (const auto& [name, key] :
         {std::pair{"key", &given.key}, std::pair{"previous_key", &given.previous_key}}) {
        if (!key->empty() && key->reveal().size() < least) {
            add(found, join({"cursors"}, name), "at least 32 bytes",
                "is shorter than 32 bytes: take what `openssl rand -base64 32` prints");
        }
    }
    if (given.key.empty() && !given.previous_key.empty()) {
        add(found, "cursors.key", "a value", "is required: `previous_key` is given");
    }
}

/// Brokers look after their databases: one that is required and has none on this node would never
/// be looked at. A node without brokers belongs to a program that uses its connections itself.
void check_required(std::vector<problem>& found, const settings& all) {
    bool any_role = false;
    std::vector<string_view> served;
    for (const auto& [role, service] : all.broker_services) {
        any_role = any_role || service.is_local;
        for (const auto& [connection, counts] : service.instances) {
            if (service.is_local && counts.read + counts.write + counts.bulk > 0) {
                served.emplace_back(connection);
            }
        }
    }
    const auto look = [&](string_view section, const std::string& name, bool required) {
        const auto where = join({std::string{section}, name});
        // A mistake in the names leads to this one: not blamed twice.
        const bool blamed = std::any_of(found.begin(), found.end(), [&](const problem& each) {
            return each.key == where || each.key.starts_with(where + '.') ||
                   each.key.find(".instances.") != std::string::npos;
        });
        if (any_role && required && !blamed &&
            std::find(served.begin(), served.end(), name) == served.end()) {
            add(found, join({std::string{section}, name, "required"}), "false, or instances",
                "is true, and no role of this node has brokers for this database: give it "
                "instances (`[broker_services.<role>.instances]` " +
                    name + " = { read = 1 }), or set `required = false`");
        }
    };
    for (const auto& [name, service] : all.rel_services) {
        look("rel_services", name, service.required);
    }
    for (const auto& [name, service] : all.rec_services) {
        look("rec_services", name, service.required);
    }
}

} // namespace

std::vector<problem> check_relations(const settings& all,
                                     const std::vector<std::string>& other_connections) {
    std::vector<problem> found;
    std::vector<std::string> connections = other_connections;
    for (const auto& [name, service] : all.rel_services) {
        const path where{"rel_services", name};
        connections.push_back(name);
        check_connection(found, where);
        require(found, where, "user", !service.user.empty());
        require(found, where, "database", !service.database.empty());
        check_tls(found, {"rel_services", name, "tls"}, service.tls);
    }
    for (const auto& [name, service] : all.rec_services) {
        const path where{"rec_services", name};
        connections.push_back(name);
        check_connection(found, where);
        if (all.rel_services.contains(name)) {
            add(found, join(where), "another name",
                "has the name of a connection in `rel_services`; names are unique");
        }
        require(found, where, "database", !service.database.empty());
        if (!service.uri.empty()) {
            const string_view text = service.uri.reveal();
            if (text.substr(0, 10) != "mongodb://" && text.substr(0, 14) != "mongodb+srv://") {
                add(found, join(where, "uri"), "a MongoDB connection string",
                    "must begin with mongodb:// or mongodb+srv://");
            }
            continue;
        }
        check_tls(found, {"rec_services", name, "tls"}, service.tls);
        if (service.user.empty() && !service.pass.empty()) {
            add(found, join(where, "user"), "a value", "is required: `pass` is given");
        }
        if (!service.user.empty() && service.pass.empty() && service.tls.cert.empty()) {
            add(found, join(where, "pass"), "a value", "is required: `user` is given");
        }
    }
    for (const auto& [role, service] : all.broker_services) {
        const path where{"broker_services", role};
        check_name(found, where, "role");
        if (service.is_local) {
            require(found, where, "user", !service.user.empty());
            require(found, where, "pass", !service.pass.empty());
        }
        check_tls(found, {"broker_services", role, "tls"}, service.tls);
        for (const auto& [connection, counts] : service.instances) {
            if (std::find(connections.begin(), connections.end(), connection) ==
                connections.end()) {
                add(found, join({"broker_services", role, "instances", connection}),
                    "a connection of `rel_services` or `rec_services`",
                    "names a connection that is not in `rel_services` or `rec_services`" +
                        core::did_you_mean(connection, connections));
            }
        }
    }
    check_required(found, all);
    check_cursors(found, all.cursors);
    if (const auto listen = parse_listen(all.admin.listen);
        listen && !listen->loopback && all.admin.remote == remote_access::deny) {
        add(found, "admin.listen", "an address of this machine alone",
            "is an address that other machines reach: take one such as 127.0.0.1, or set `remote "
            "= \"allow\"`");
    }
    return found;
}

} // namespace beds::config::schema
