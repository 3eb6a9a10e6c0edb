#include "support/catch.hpp"
#include "support/counters.hpp"

#include <algorithm>

using namespace beds;
using namespace std::chrono_literals;

TEST_CASE("one message_id of two users is two writes, of one user it is one") {
    const auto rabbitmq = test::require_amqp();
    const auto second = test::environment("BEDS_AMQP_APP_URL");
    if (!second) {
        test::skip("a second user of rabbitmq", "BEDS_AMQP_APP_URL is not set");
    }
    const auto where = test::require_mariadb();
    const auto control = test::shared_servers();
    test::database data{where, control};
    test::make_counters(data, 1);
    test::node_options options;
    options.templates = test::counter_templates();
    const auto rel = data.settings();
    test::running_node running{rabbitmq, &rel, options};
    REQUIRE(running.node().wait_ready(core::deadline::after(15s)));

    const auto& anne = rabbitmq;
    const auto bert = test::parse_uri(*second);
    REQUIRE(anne.user != bert.user);
    const auto raise_as = [&](const test::endpoint& who, const std::string& user_id) {
        test::raw_client raw{who, running.tag()};
        raw.publish({.key = "counters.write",
                     .body = R"({"v":1,"template":"counters","op":"update","key":1,)"
                             R"("inc":{"value":1}})",
                     .message_id = "the same",
                     .reply_to = raw.reply_queue(),
                     .user_id = user_id});
        REQUIRE(raw.settle());
        const auto answer = raw.reply();
        REQUIRE(answer);
        INFO(answer->body);
        CHECK(answer->body.find(R"("effect":"applied")") != std::string::npos);
    };
    const auto value = [&] { return data.number("SELECT value FROM counters WHERE id = 1"); };
    const auto remembered = [&] {
        return data.sql("SELECT principal, id FROM beds_inbox ORDER BY principal");
    };

    raise_as(anne, anne.user);
    CHECK(value() == 1);
    raise_as(bert, bert.user);
    CHECK(value() == 2);
    CHECK(remembered() == std::min(anne.user, bert.user) + "\tthe same/0\n" +
                              std::max(anne.user, bert.user) + "\tthe same/0");
    raise_as(anne, anne.user);
    raise_as(bert, bert.user);
    CHECK(value() == 2);

    // Who does not say who they are share one name.
    raise_as(anne, "");
    CHECK(value() == 3);
    raise_as(bert, "");
    CHECK(value() == 3);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == 3);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox WHERE principal = 'anonymous'") == 1);

    // Nobody can say that they are somebody else: RabbitMQ closes the channel.
    test::raw_client liar{anne, running.tag()};
    bool accepted = true;
    try {
        liar.publish({.key = "counters.write",
                      .body = R"({"v":1,"template":"counters","op":"update","key":1,)"
                              R"("inc":{"value":1}})",
                      .message_id = "another",
                      .user_id = bert.user});
        accepted = liar.settle();
    } catch (const core::error&) {
        accepted = false;
    }
    CHECK_FALSE(accepted);
    CHECK(value() == 3);
}
