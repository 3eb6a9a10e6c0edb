#include "dead_letters.hpp"
#include "options.hpp"
#include "support/becomes.hpp"
#include "support/catch.hpp"
#include "support/counters.hpp"
#include "support/folder.hpp"

#include <optional>
#include <sstream>
#include <thread>

using namespace beds;
using namespace std::chrono_literals;
using bedsctl::exit_code;
using bedsctl::letter_task;
using test::contains;

namespace {

struct answer {
    exit_code code = exit_code::ok;
    std::string out;
    std::string err;
};

/// A node over MariaDB whose dead letters are looked after.
struct world {
    /// `user`: with which the node works on the database, without a password; else the usual one.
    explicit world(const std::string& sql = {}, const std::string& user = {})
        : rabbitmq(test::require_amqp()), where(test::require_mariadb()),
          control(test::shared_servers()), data(where, control) {
        test::make_counters(data, 3);
        if (!user.empty()) {
            data.sql("CREATE USER " + user + "; GRANT SELECT ON " + data.name() + ".* TO " + user +
                     "; GRANT ALL ON " + data.name() + ".beds_inbox TO " + user +
                     "; GRANT EXECUTE ON " + data.name() + ".* TO " + user);
        }
        if (!sql.empty()) {
            data.sql(sql);
        }
        test::node_options options;
        data.sql("DELIMITER //\nCREATE PROCEDURE paid(IN p_id BIGINT) MODIFIES SQL DATA\nBEGIN\n"
                 "UPDATE counters SET value = value + 1 WHERE id = p_id;\nCOMMIT;\nEND //\n");
        options.templates = test::counter_templates();
        options.templates.emplace_back(R"toml(
[template]
name  = "payments"
store = "rel"
object = "counters"
key   = ["id"]
[fields]
id    = { type = "int64", required = true }
value = { type = "int64", default = 0 }
[calls.paid]
procedure = "paid"
class = "write"
args = [["id", "int64"]]
)toml");
        auto rel = data.settings();
        if (!user.empty()) {
            rel.user = user;
            rel.pass = {};
        }
        running = std::make_unique<test::running_node>(rabbitmq, &rel, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(15s)));
        raw = std::make_unique<test::raw_client>(rabbitmq, running->tag());
    }

    void send(const std::string& id, int row) {
        raw->publish({.key = "counters.write",
                      .body = R"({"v":1,"template":"counters","op":"update","key":)" +
                              std::to_string(row) + R"(,"inc":{"value":4711}})",
                      .message_id = id,
                      .user_id = rabbitmq.user});
        REQUIRE(raw->settle());
    }
    void send_wrong(const std::string& id) {
        raw->publish(
            {.key = "counters.write",
             .body = R"({"v":1,"template":"counters","op":"update","key":1,"inc":{"x":1}})",
             .message_id = id});
        REQUIRE(raw->settle());
    }
    /// Until so many requests are dead letters.
    void wait_for_letters(std::uint32_t count) const {
        REQUIRE(test::becomes(
            [&] { return raw->ready_messages(amqp::dead_queue(running->tag())) == count; }, 10s));
    }
    answer ask(const bedsctl::letter_options& what,
               bedsctl::format output = bedsctl::format::table) const {
        std::ostringstream out;
        std::ostringstream err;
        answer made;
        made.code =
            bedsctl::handle_dead_letters(test::amqp_settings(rabbitmq), running->tag(), what,
                                         output, out, err, core::deadline::after(10s));
        made.out = out.str();
        made.err = err.str();
        return made;
    }

    test::endpoint rabbitmq;
    test::endpoint where;
    test::server_control control;
    test::database data;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<test::raw_client> raw;
};

} // namespace

TEST_CASE("dead letters are listed by cause, shown without values, and stay where they are") {
    world here;
    CHECK(here.ask({}).err == "bedsctl: there are no dead letters\n");
    here.send("lost-1", 77);
    here.send_wrong("wrong-1");
    here.send_wrong("wrong-2");
    here.wait_for_letters(3);
    const auto list = here.ask({});
    INFO(list.out << list.err);
    CHECK(list.code == exit_code::ok);
    CHECK(contains(list.out, "2        INVALID_FIELD  counters.write"));
    CHECK(contains(list.out, "1        NOT_FOUND      counters.write"));
    here.wait_for_letters(3);

    const auto shown = here.ask({.task = letter_task::show, .ids = {"lost-1"}});
    INFO(shown.out);
    CHECK(contains(shown.out, R"("template":"counters","op":"update","key":"***")"));
    CHECK_FALSE(contains(shown.out, "4711"));
    CHECK(contains(shown.out, "NOT_FOUND"));
    const auto revealed = here.ask(
        {.task = letter_task::show, .ids = {"lost-1"}, .values = bedsctl::shown_values::revealed});
    CHECK(contains(revealed.out, "4711"));
    const auto json = here.ask({.code = "INVALID_FIELD", .each = true}, bedsctl::format::json);
    CHECK(std::count(json.out.begin(), json.out.end(), '\n') == 2);
    CHECK(contains(json.out, R"("id":"wrong-1")"));
    const auto causes = here.ask({}, bedsctl::format::json);
    INFO(causes.out);
    CHECK(std::count(causes.out.begin(), causes.out.end(), '\n') == 1);
    CHECK(causes.out.starts_with(R"({"letters":3,"causes":[{"letters":2,"code":"INVALID_FIELD",)"
                                 R"("routing_key":"counters.write","detail":")"));
    CHECK(contains(causes.out, R"("oldest":"wrong-1"},{"letters":1,"code":"NOT_FOUND",)"));
    CHECK(here.ask({.code = "CONFLICT"}, bedsctl::format::json).out ==
          "{\"letters\":0,\"causes\":[]}\n");
    const auto nobody = here.ask({.task = letter_task::show, .ids = {"nobody", "lost-1"}});
    CHECK(nobody.code == exit_code::refused);
    CHECK(nobody.err == "bedsctl: there is no dead letter 'nobody'\n");
    CHECK(contains(nobody.out, "NOT_FOUND"));
    // Whoever looks right after another one finds all of them.
    for (int look = 0; look != 40; ++look) {
        const auto all = here.ask({.each = true}, bedsctl::format::json);
        REQUIRE(std::count(all.out.begin(), all.out.end(), '\n') == 3);
    }
    here.wait_for_letters(3);
}

TEST_CASE("a dead letter is sent again as its first sender, and applied once") {
    world here;
    here.data.sql("CREATE TRIGGER busy BEFORE UPDATE ON counters FOR EACH ROW "
                  "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'closed'");
    here.send("pay-1", 1);
    here.send("pay-2", 2);
    here.wait_for_letters(2);
    here.data.sql("DROP TRIGGER busy");

    // Refused for good is remembered under the id.
    auto again = here.ask({.task = letter_task::replay, .ids = {"pay-1"}});
    CHECK(again.out.starts_with("1 dead letter(s) sent again\nWhat was applied, or refused for "
                                "good, gets its first answer again, and only the rest is done"));
    here.wait_for_letters(2);
    CHECK(here.data.number("SELECT SUM(value) FROM counters") == 0);
    const auto shown = here.ask({.task = letter_task::show, .ids = {"pay-1"}});
    INFO(shown.out);
    CHECK(contains(shown.out, " replayed bedsctl; "));

    again = here.ask({.task = letter_task::replay,
                      .ids = {"pay-1"},
                      .replay_ids = bedsctl::letter_ids::renewed});
    CHECK(again.code == exit_code::ok);
    CHECK(test::becomes([&] { return here.data.number("SELECT SUM(value) FROM counters") != 0; },
                        10s));
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 4711);
    CHECK(here.data.number("SELECT COUNT(DISTINCT principal) FROM beds_inbox") == 1);
    here.wait_for_letters(1);
    CHECK(here.ask({.task = letter_task::replay, .ids = {"pay-1"}}).code == exit_code::refused);

    const auto dropped = here.ask({.task = letter_task::drop, .template_name = "counters"});
    CHECK(dropped.out == "1 dead letter(s) dropped\n");
    here.wait_for_letters(0);
}

TEST_CASE("a dead letter is its first sender's when it is sent again, not its keeper's") {
    world here;
    here.data.sql("CREATE TRIGGER busy BEFORE UPDATE ON counters FOR EACH ROW "
                  "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'closed'");
    here.raw->publish(
        {.key = "counters.write",
         .body = R"({"v":1,"template":"counters","op":"update","key":1,"inc":{"value":1}})",
         .message_id = "nameless-1"}); // without user_id: of nobody whom RabbitMQ vouches for
    REQUIRE(here.raw->settle());
    here.wait_for_letters(1);
    here.data.sql("DROP TRIGGER busy");
    CHECK(here.ask({.task = letter_task::replay,
                    .ids = {"nameless-1"},
                    .replay_ids = bedsctl::letter_ids::renewed})
              .code == exit_code::ok);
    CHECK(test::becomes(
        [&] { return here.data.number("SELECT value FROM counters WHERE id = 1") != 0; }, 10s));
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 1);
    CHECK(here.data.number("SELECT COUNT(*) FROM beds_inbox WHERE principal = 'anonymous'") == 2);
    CHECK(here.data.number("SELECT COUNT(*) FROM beds_inbox") == 2);
}

TEST_CASE(
    "a dead letter of what commits by itself says that it may happen twice, and why it failed") {
    world here{"DROP PROCEDURE slow;\nDELIMITER //\n"
               "CREATE PROCEDURE slow(IN p_id BIGINT, IN p_seconds DOUBLE) MODIFIES SQL DATA\n"
               "BEGIN\nUPDATE counters SET value = value + 1 WHERE id = p_id;\nCOMMIT;\n"
               "KILL CONNECTION_ID();\nEND //\nDELIMITER ;\n"};
    here.raw->listen_to_the_dead();
    here.raw->publish({.key = "counters.write",
                       .body = R"({"v":1,"template":"counters","op":"call","name":"slow",)"
                               R"("args":{"id":1,"seconds":0}})",
                       .message_id = "half-1"});
    REQUIRE(here.raw->settle());
    const auto letter = here.raw->dead(20s);
    INFO(here.running->log());
    REQUIRE(letter);
    CHECK(letter->header("beds-error-code") == "BACKEND_UNAVAILABLE");
    CHECK(letter->header("beds-error-effect") == "unknown");
    CHECK(letter->header("beds-error-guarantee") == "at_least_once");
    CHECK(contains(letter->header("beds-error-detail"), "the connection broke"));
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 1); // once
    CHECK(here.running->sum(&observe::broker_counters::requeued) == 0);
}

TEST_CASE("a dead letter of which a part was applied says so, and the rest is done under new ids") {
    world here;
    here.raw->publish({.key = "counters.write",
                       .body =
                           R"({"v":1,"ops":[)"
                           R"({"template":"counters","op":"update","key":1,"inc":{"value":1}},)"
                           R"({"template":"counters","op":"update","key":77,"inc":{"value":1}},)"
                           R"({"template":"counters","op":"fetch","key":2},)"
                           R"({"template":"counters","op":"update","key":3,"inc":{"value":1}}]})",
                       .message_id = "half-2",
                       .user_id = here.rabbitmq.user});
    REQUIRE(here.raw->settle());
    here.wait_for_letters(1);
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 1);
    const auto json = here.ask({.task = letter_task::list, .each = true}, bedsctl::format::json);
    INFO(json.out);
    CHECK(contains(json.out, R"("code":"NOT_FOUND","effect":"partly")"));
    CHECK(contains(here.running->log(), "code=NOT_FOUND effect=partly"));
    CHECK(contains(json.out, R"("operations":"OK applied 0,3; NOT_FOUND none 1; OK none 2")"));
    CHECK(contains(here.ask({.task = letter_task::show, .all = true}).out,
                   "OK applied 0,3; NOT_FOUND none 1; OK none 2"));
    // Under its ids each gets its first answer, the refused one, too, though the row is there now.
    here.data.sql("INSERT INTO counters (id) VALUES (77)");
    CHECK(here.ask({.task = letter_task::replay, .all = true}).code == exit_code::ok);
    CHECK(test::becomes(
        [&] { return here.running->sum(&observe::broker_counters::operations) >= 8; }, 20s));
    here.wait_for_letters(1);
    CHECK(here.data.number("SELECT SUM(value) FROM counters") == 2);
    CHECK(contains(here.ask({.each = true}, bedsctl::format::json).out,
                   R"("operations":"OK applied 0,3; NOT_FOUND none 1; OK none 2")"));
    const auto renewed = here.ask(
        {.task = letter_task::replay, .all = true, .replay_ids = bedsctl::letter_ids::renewed});
    INFO(renewed.out << renewed.err);
    CHECK(renewed.code == exit_code::ok);
    CHECK(renewed.out == "1 dead letter(s) sent again\n"
                         "1 operation(s) under new ids, without 3 that were done\n");
    CHECK(test::becomes(
        [&] { return here.data.number("SELECT value FROM counters WHERE id = 77") != 0; }, 20s));
    CHECK(here.data.number("SELECT SUM(value) FROM counters") == 3);
    CHECK(here.data.number("SELECT COUNT(*) FROM beds_inbox WHERE id = 'half-2/1~2'") == 1);
    here.wait_for_letters(0);
}

TEST_CASE("a right that was missing is no answer for good: after the grant it is done") {
    const auto user = test::unique_name("dba");
    world here{{}, user};
    here.send("grant-1", 1);
    here.wait_for_letters(1);
    CHECK(contains(here.ask({}).out, "BACKEND_PERMISSION_DENIED"));
    CHECK(here.data.number("SELECT COUNT(*) FROM beds_inbox") == 0);
    here.data.sql("GRANT UPDATE ON counters TO " + user);
    CHECK(here.ask({.task = letter_task::replay, .all = true}).code == exit_code::ok);
    CHECK(test::becomes([&] { return here.data.number("SELECT SUM(value) FROM counters") != 0; },
                        20s));
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 4711);
    here.wait_for_letters(0);
    here.data.sql("DROP USER " + user);
}

TEST_CASE("a dead letter that is answered from the inbox keeps its why") {
    world here;
    here.raw->publish({.key = "counters.write",
                       .body = R"({"v":1,"template":"counters","op":"insert","data":{"id":1}})",
                       .message_id = "twice-1",
                       .user_id = here.rabbitmq.user});
    REQUIRE(here.raw->settle());
    here.wait_for_letters(1);
    const auto first = here.ask({}).out;
    INFO(first);
    CHECK(contains(first, "DUPLICATE_KEY"));
    CHECK(contains(first, "exists already"));
    CHECK(here.ask({.task = letter_task::replay, .all = true}).code == exit_code::ok);
    CHECK(test::becomes(
        [&] { return here.running->sum(&observe::broker_counters::operations) >= 2; }, 20s));
    here.wait_for_letters(1);
    CHECK(here.ask({}).out == first);
}

TEST_CASE("what another account kept is not sent again under this one's name") {
    world here;
    const auto second = test::environment("BEDS_AMQP_APP_URL");
    if (!second) {
        test::skip("a second user of rabbitmq", "BEDS_AMQP_APP_URL is not set");
    }
    here.send("pay-9", 99);
    here.wait_for_letters(1);
    std::ostringstream out;
    std::ostringstream err;
    const auto code = bedsctl::handle_dead_letters(
        test::amqp_settings(test::parse_uri(*second)), here.running->tag(),
        {.task = letter_task::replay, .all = true}, bedsctl::format::table, out, err,
        core::deadline::after(10s));
    INFO(err.str());
    CHECK(code == exit_code::refused);
    CHECK(contains(err.str(), "was kept by the account"));
    CHECK(contains(err.str(), "use the node's configuration (--config) to see it"));
    here.wait_for_letters(1);
}

TEST_CASE("two letters of one request are one request, also under a new id") {
    world here;
    here.data.sql("CREATE TRIGGER busy BEFORE UPDATE ON counters FOR EACH ROW "
                  "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'closed'");
    here.send("pay-1", 1);
    here.send("pay-1", 1); // the caller was not sure
    here.wait_for_letters(2);
    here.data.sql("DROP TRIGGER busy");
    const auto again = here.ask({.task = letter_task::replay,
                                 .ids = {"pay-1"},
                                 .replay_ids = bedsctl::letter_ids::renewed});
    CHECK(again.out == "2 dead letter(s) sent again\n2 operation(s) under new ids\n");
    CHECK(test::becomes(
        [&] { return here.running->sum(&observe::broker_counters::operations) >= 4; }, 10s));
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 4711);
    CHECK(here.data.number("SELECT COUNT(*) FROM beds_inbox WHERE id LIKE 'pay-1~2%'") == 1);
    here.wait_for_letters(0);
}

TEST_CASE("what might happen twice is sent again only when that is said") {
    world here;
    // Applied, forgotten by the inbox, and refused when it came once more: a letter of something
    // that was done.
    here.send("pay-3", 1);
    CHECK(test::becomes([&] { return here.data.number("SELECT SUM(value) FROM counters") != 0; },
                        10s));
    here.data.sql("DELETE FROM beds_inbox; "
                  "CREATE TRIGGER busy BEFORE UPDATE ON counters FOR EACH ROW "
                  "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'closed'");
    here.send("pay-3", 1);
    here.wait_for_letters(1);
    here.data.sql("DROP TRIGGER busy; DELETE FROM beds_inbox");
    bedsctl::letter_options again{.task = letter_task::replay, .ids = {"pay-3"}};
    again.inbox_window = 2s;
    std::this_thread::sleep_for(2s);
    const auto refused = here.ask(again);
    INFO(refused.err);
    CHECK(refused.code == exit_code::refused);
    CHECK(contains(refused.err, "'pay-3' might happen twice"));
    CHECK(contains(refused.err, "--may-happen-twice"));
    here.wait_for_letters(1);
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 4711);
    again.may_happen_twice = true;
    CHECK(here.ask(again).code == exit_code::ok);
    CHECK(test::becomes(
        [&] { return here.data.number("SELECT value FROM counters WHERE id = 1") != 4711; }, 10s));
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 2 * 4711);
    here.wait_for_letters(0);

    // Of what leaves no record of its id, because it commits by itself.
    here.raw->publish({.key = "payments.write",
                       .body =
                           R"({"v":1,"ops":[)"
                           R"({"template":"payments","op":"call","name":"paid",)"
                           R"("args":{"id":2}},)"
                           R"({"template":"payments","op":"update","key":77,"inc":{"value":1}}]})",
                       .message_id = "pay-5",
                       .user_id = here.rabbitmq.user});
    REQUIRE(here.raw->settle());
    here.wait_for_letters(1);
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 2") == 1);
    const auto again_applied = here.ask({.task = letter_task::replay, .all = true});
    INFO(again_applied.err);
    CHECK(again_applied.code == exit_code::refused);
    CHECK(contains(again_applied.err, "at_least_once"));
    CHECK(here.ask({.task = letter_task::drop, .all = true}).code == exit_code::ok);

    // Of what its broker could not tell.
    amqp::publisher_connection out{test::amqp_settings(here.rabbitmq), core::deadline::after(10s)};
    const auto user = here.rabbitmq.user;
    const amqp::header headers[] = {
        amqp::header::of("beds-error-code", "BACKEND_UNAVAILABLE"),
        amqp::header::of("beds-error-effect", "unknown"), amqp::header::of("beds-principal", user),
        amqp::header::of("beds-routing-key", "counters.write"),
        amqp::header::of("beds-history", "2999-01-01T00:00:00Z BACKEND_UNAVAILABLE x")};
    out.publish(amqp::dead_exchange(here.running->tag()).str(), "counters.write",
                {.message_id = "pay-4", .user_id = user, .headers = headers},
                R"({"v":1,"template":"counters","op":"update","key":3,"inc":{"value":5}})",
                amqp::mandatory::yes, core::deadline::after(10s));
    REQUIRE(out.wait_confirms(core::deadline::after(10s)));
    here.wait_for_letters(1);
    const auto unknown = here.ask({.task = letter_task::replay, .all = true});
    INFO(unknown.err);
    CHECK(unknown.code == exit_code::refused);
    CHECK(contains(unknown.err, "its effect is unknown"));
    here.wait_for_letters(1);
    // Whoever saw that it was not done has it done, also where the old id stays unknown.
    bedsctl::letter_options renewed{
        .task = letter_task::replay, .all = true, .replay_ids = bedsctl::letter_ids::renewed};
    CHECK(here.ask(renewed).code == exit_code::refused);
    renewed.may_happen_twice = true;
    const auto sent = here.ask(renewed);
    INFO(sent.err);
    CHECK(sent.out == "1 dead letter(s) sent again\n1 operation(s) under new ids\n");
    CHECK(test::becomes(
        [&] { return here.data.number("SELECT value FROM counters WHERE id = 3") != 0; }, 10s));
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 3") == 5);
    CHECK(here.data.number("SELECT COUNT(*) FROM beds_inbox WHERE id LIKE 'pay-4~2%'") == 1);
    here.wait_for_letters(0);
}

TEST_CASE("what waited longer than its expiration says so") {
    world here;
    amqp::publisher_connection out{test::amqp_settings(here.rabbitmq), core::deadline::after(10s)};
    const amqp::header headers[] = {amqp::header::of("x-first-death-reason", "expired")};
    out.publish(amqp::dead_exchange(here.running->tag()).str(), "counters.write",
                {.message_id = "old-1", .user_id = here.rabbitmq.user, .headers = headers}, "{}",
                amqp::mandatory::yes, core::deadline::after(10s));
    REQUIRE(out.wait_confirms(core::deadline::after(10s)));
    here.wait_for_letters(1);
    const auto shown = here.ask({.task = letter_task::show, .all = true});
    INFO(shown.out);
    CHECK(contains(shown.out, "expired: it waited for a node longer than its sender's "
                              "`expiration` allowed"));
    // A node may have had it before, which RabbitMQ does not tell.
    CHECK(here.ask({.task = letter_task::replay, .all = true}).code == exit_code::refused);
    CHECK(here.ask({.task = letter_task::replay,
                    .all = true,
                    .replay_ids = bedsctl::letter_ids::renewed})
              .code == exit_code::refused);
}

TEST_CASE("a dead letter that is sent again has the time that its template gives, or a new one") {
    const auto given = GENERATE(std::optional<std::chrono::milliseconds>{},
                                std::optional<std::chrono::milliseconds>{60s},
                                std::optional<std::chrono::milliseconds>{-1s});
    world here;
    amqp::publisher_connection out{test::amqp_settings(here.rabbitmq), core::deadline::after(10s)};
    const auto user = here.rabbitmq.user;
    char now[40];
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const std::string history{now, core::format_datetime(time.count(), now)};
    const auto told = history + " DEADLINE_EXCEEDED x";
    const amqp::header headers[] = {
        amqp::header::of("beds-error-code", "DEADLINE_EXCEEDED"),
        amqp::header::of("beds-error-effect", "none"),
        amqp::header::of("beds-principal", user),
        amqp::header::of("beds-routing-key", "counters.write"),
        amqp::header::of("beds-deadline", std::int64_t{1'700'000'000'000}),
        amqp::header::of("beds-history", told)};
    out.publish(amqp::dead_exchange(here.running->tag()).str(), "counters.write",
                {.message_id = "late", .user_id = user, .headers = headers},
                R"({"v":1,"template":"counters","op":"update","key":1,"inc":{"value":1},)"
                R"("deadline":1700000000000})",
                amqp::mandatory::yes, core::deadline::after(10s));
    REQUIRE(out.wait_confirms(core::deadline::after(10s)));
    here.wait_for_letters(1);
    CHECK(contains(here.ask({.task = letter_task::show, .all = true}).out,
                   "2023-11-14T22:13:20Z of its sender, which is over"));
    auto how = bedsctl::letter_options{.task = letter_task::replay, .all = true};
    how.deadline = given;
    const auto again = here.ask(how);
    INFO(again.out << again.err);
    CHECK(again.code == exit_code::ok);
    CHECK(contains(again.out, "had a deadline of their sender that is over") == !given);
    if (given && *given < 0s) { // the new one is over: the letter is back, with it
        here.wait_for_letters(1);
        const auto back = here.ask({.task = letter_task::show, .all = true}).out;
        INFO(back);
        CHECK(contains(back, "Z of its sender, which is over"));
        CHECK_FALSE(contains(back, "2023-11-14"));
        CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 0);
        return;
    }
    CHECK(test::becomes(
        [&] { return here.data.number("SELECT value FROM counters WHERE id = 1") != 0; }, 10s));
    CHECK(here.data.number("SELECT value FROM counters WHERE id = 1") == 1);
}

TEST_CASE("whoever looks at dead letters leaves them in their order") {
    world here;
    for (int i = 0; i < 6; ++i) {
        here.send_wrong("wrong-" + std::to_string(i));
        here.wait_for_letters(static_cast<std::uint32_t>(i + 1));
    }
    const auto each = [&](std::uint16_t most) {
        const auto got = here.ask({.task = letter_task::list, .each = true, .most = most});
        std::string ids;
        for (auto at = got.out.find("wrong-"); at != std::string::npos;
             at = got.out.find("wrong-", at + 1)) {
            ids += got.out[at + 6];
        }
        return ids;
    };
    for (int i = 0; i < 5; ++i) {
        CHECK(each(100) == "012345");
        CHECK(each(2) == "01");
    }
}
