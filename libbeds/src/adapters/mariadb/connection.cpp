#include "adapters/mariadb/connection.hpp"

#include "adapters/mariadb/sql_mode.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace beds::adapters::mariadb {
namespace {

using namespace std::chrono_literals;

/// Pinned, so that a session means the same on every server. Backslashes do not matter: values
/// never stand in a statement's text. A cursor compares whole texts, and so must what sorts them:
/// the default of 1024 bytes is less than an index holds. A sort needs room for 15 keys at least.
std::array<std::string, 3> session_set_up() {
    return {"SET NAMES utf8mb4 COLLATE utf8mb4_bin",
            "SET SESSION sql_mode = '" + std::string{session_sql_mode} +
                "', time_zone = '+00:00', autocommit = 1, sql_safe_updates = 0, "
                "sql_select_limit = DEFAULT, max_sort_length = "
                "LEAST(32768, GREATEST(@@max_sort_length, @@sort_buffer_size DIV 64))",
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"};
}

std::uint64_t number_or(const char* text, std::uint64_t fallback) {
    if (text == nullptr) {
        return fallback;
    }
    const std::string_view digits{text};
    std::uint64_t made = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), made);
    return problem == std::errc{} ? made : fallback;
}

void set_text(MYSQL* handle, mysql_option option, const std::string& text) {
    if (!text.empty()) {
        mysql_optionsv(handle, option, text.c_str());
    }
}

void set_flag(MYSQL* handle, mysql_option option, bool on) {
    const my_bool flag = on ? 1 : 0;
    mysql_optionsv(handle, option, &flag);
}

void set_tls(MYSQL* handle, const config::tls_settings& tls) {
    if (!tls.enabled) {
        return;
    }
    if (tls.verify) { // with an authority the library verifies, whatever the flag says
        set_text(handle, MYSQL_OPT_SSL_CA, tls.ca.string());
    }
    set_text(handle, MYSQL_OPT_SSL_CERT, tls.cert.string());
    set_text(handle, MYSQL_OPT_SSL_KEY, tls.key.string());
    mysql_optionsv(handle, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
    set_flag(handle, MYSQL_OPT_SSL_ENFORCE, true);
    set_flag(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, tls.verify);
}

[[noreturn]] void throw_error(core::errc code, const std::string& what, const server_error& why) {
    throw core::error(code, what,
                      {.origin = core::error_origin::mariadb,
                       .handle = core::handle_state::broken,
                       .native_code = static_cast<int>(why.number),
                       .server_message = why.message});
}

} // namespace

connection::connection(const config::rel_service_settings& settings, const session_context& context,
                       watchdog* late)
    : settings_(settings), context_(context) {
    if (context.supervisor != nullptr) {
        socket_ = context.supervisor->watch();
    }
    if (late != nullptr) {
        late_ = late->watch(context.name, context.log);
    }
}

connection::~connection() {
    close();
}

void connection::close() {
    // The socket leaves the supervisor before its number can be used again. Statements go after the
    // connection: then they only give back memory, and nothing waits for a server that is not
    // there.
    if (handle_ && socket_) {
        socket_->detach();
    }
    if (handle_ && late_) {
        late_->detach();
    }
    handle_.reset();
    by_text_.clear();
    statements_.clear();
}

void connection::arm(core::deadline until, guard& watching) {
    if (socket_) {
        watching.socket_.emplace(*socket_, until);
    }
}

void connection::arm_statements(core::deadline until, guard& watching) {
    arm(until, watching);
    if (late_) {
        watching.statements_.emplace(*late_, until);
    }
}

void connection::take_error() {
    error_ = {mysql_errno(handle_.get()), mysql_sqlstate(handle_.get()),
              mysql_error(handle_.get())};
}

void connection::open(core::deadline until) {
    close();
    enter_thread();
    handle_.reset(mysql_init(nullptr));
    if (!handle_) {
        throw std::bad_alloc{};
    }
    MYSQL* const raw = handle_.get();
    const auto budget = std::min(std::chrono::milliseconds{settings_.connect_timeout},
                                 std::max(1ms, until.is_never() ? 24h : until.remaining_ms()));
    const auto seconds = static_cast<unsigned>((budget + 999ms) / 1s);
    mysql_optionsv(raw, MYSQL_OPT_CONNECT_TIMEOUT, &seconds); // handshake included
    if (!socket_) {
        const unsigned at_most = 120; // nobody else ends a call on a connection that is half dead
        mysql_optionsv(raw, MYSQL_OPT_READ_TIMEOUT, &at_most);
        mysql_optionsv(raw, MYSQL_OPT_WRITE_TIMEOUT, &at_most);
    }
    set_flag(raw, MYSQL_OPT_RECONNECT, false);
    set_flag(raw, MYSQL_REPORT_DATA_TRUNCATION, false);
    const unsigned off = 0;
    mysql_optionsv(raw, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_optionsv(raw, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(raw, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "beds");
    mysql_optionsv(raw, MYSQL_OPT_CONNECT_ATTR_ADD, "beds_name", context_.name.c_str());
    set_tls(raw, settings_.tls);
    const bool by_socket = !settings_.socket.empty();
    if (!by_socket) { // or "localhost" would mean the socket
        const unsigned tcp = MYSQL_PROTOCOL_TCP;
        mysql_optionsv(raw, MYSQL_OPT_PROTOCOL, &tcp);
    }
    if (mysql_real_connect(raw, by_socket ? nullptr : settings_.host.c_str(),
                           settings_.user.c_str(), settings_.pass.reveal().c_str(),
                           settings_.database.c_str(), by_socket ? 0 : settings_.port,
                           by_socket ? settings_.socket.c_str() : nullptr,
                           CLIENT_FOUND_ROWS) == nullptr) {
        take_error();
        const auto why = error_;
        handle_.reset();
        throw_error(worth_trying_again(why.number) ? core::errc::unreachable : core::errc::refused,
                    worth_trying_again(why.number) ? "the database cannot be reached"
                                                   : "the database refused the connection",
                    why);
    }
    if (socket_) {
        socket_->attach(static_cast<int>(mysql_get_socket(raw)));
    }
    guard watching;
    arm(until.earlier(core::deadline::after(budget)), watching);
    configure(until);
}

void connection::configure(core::deadline /*until*/) {
    const auto fail = [this] {
        take_error();
        const auto why = error_;
        const bool later = classify(why.number).reach == reach::session;
        close();
        throw_error(later ? core::errc::unreachable : core::errc::refused,
                    "the database session could not be set up", why);
    };
    for (const auto& text : session_set_up()) {
        if (!command(text)) {
            fail();
        }
    }
    MYSQL* const raw = handle_.get();
    facts_ = {};
    facts_.is_mariadb = mariadb_connection(raw) != 0;
    facts_.version = mysql_get_server_version(raw);
    facts_.may = config::parse_coalesce(settings_.coalesce).value_or(config::coalesce_features{});
    facts_.insert_returning = facts_.may.returning && facts_.is_mariadb && facts_.version >= 100500;
    if (facts_.is_mariadb) {
        // Whoever stands still between two statements for so long holds rows that others wait for:
        // the server ends his session, and his unit runs again if he wakes up. Between statements
        // of a unit there is only work of this process.
        static_cast<void>(command("SET SESSION idle_transaction_timeout = 5, "
                                  "idle_write_transaction_timeout = 5, "
                                  "idle_readonly_transaction_timeout = 5"));
    }
    // What a proxy in between makes of it counts too: the server is asked.
    facts_.may.call = facts_.may.call && command("BEGIN NOT ATOMIC DO 0; END");
    constexpr std::string_view ask = "SELECT @@max_allowed_packet, @@innodb_rollback_on_timeout, "
                                     "@@auto_increment_increment, CONNECTION_ID(), "
                                     "CONCAT_WS('/', @@hostname, @@port, @@server_id), "
                                     "@@innodb_lock_wait_timeout";
    if (mysql_real_query(raw, ask.data(), ask.size()) != 0) {
        fail();
    }
    const result_handle answer{mysql_store_result(raw)};
    if (!answer) {
        fail();
    }
    if (MYSQL_ROW row = mysql_fetch_row(answer.get()); row != nullptr) {
        facts_.max_packet = number_or(row[0], facts_.max_packet);
        facts_.rollback_on_timeout = number_or(row[1], 0) != 0;
        facts_.key_step = number_or(row[2], 1);
        facts_.session = number_or(row[3], 0);
        facts_.server = row[4] == nullptr ? "" : row[4];
        facts_.row_wait = std::chrono::seconds{number_or(row[5], 50)};
        facts_.least_wait = std::chrono::seconds{facts_.is_mariadb ? 0 : 1};
    }
    if (late_) {
        // The watchdog may end what runs here, in whosever name: see sql/mariadb/kill.sql. Without
        // user locks it does what it may.
        static_cast<void>(command("DO GET_LOCK(CONCAT('beds_kill/', CONNECTION_ID()), 0)"));
        late_->attach(facts_.session, facts_.server);
    }
}

bool connection::command(std::string_view text) {
    if (mysql_real_query(handle_.get(), text.data(), text.size()) == 0) {
        return true;
    }
    take_error();
    return false;
}

bool connection::ping() {
    if (mysql_ping(handle_.get()) == 0) {
        return true;
    }
    take_error();
    return false;
}

bool connection::autocommit() const {
    return (handle_->server_status & SERVER_STATUS_AUTOCOMMIT) != 0;
}

bool connection::in_transaction() const {
    return (handle_->server_status & SERVER_STATUS_IN_TRANS) != 0;
}

statement* connection::prepared(std::string_view text) {
    if (const auto found = by_text_.find(text); found != by_text_.end()) {
        statements_.splice(statements_.begin(), statements_, found->second);
        return found->second->made.get();
    }
    auto made = std::make_unique<statement>(handle_.get());
    if (!made->prepare(text)) {
        error_ = made->error();
        return nullptr;
    }
    if (statements_.size() >= most_statements) {
        by_text_.erase(statements_.back().text);
        statements_.pop_back();
    }
    statements_.push_front({std::string{text}, std::move(made)});
    by_text_.emplace(statements_.front().text, statements_.begin());
    return statements_.front().made.get();
}

void connection::forget(std::string_view text) {
    if (const auto found = by_text_.find(text); found != by_text_.end()) {
        const auto gone = found->second;
        by_text_.erase(found);
        statements_.erase(gone);
    }
}

} // namespace beds::adapters::mariadb
