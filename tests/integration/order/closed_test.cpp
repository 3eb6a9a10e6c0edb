#include "steps.hpp"
#include "support/queues.hpp"

#include <beds/client/amqp_client.hpp>
#include <beds/client/local_client.hpp>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;

namespace {

std::string closed_template() {
    auto text = std::string{steps_template};
    const std::string_view ordered = "order_by   = \"id\"";
    return text.replace(text.find(ordered), ordered.size(), "closed     = true");
}

std::string answer(raw_client& client, std::string key, std::string body, std::string user = {}) {
    raw_message what;
    what.key = std::move(key);
    what.body = std::move(body);
    what.message_id = unique_name("id");
    what.user_id = std::move(user);
    what.reply_to = client.reply_queue();
    client.publish(what);
    CHECK(client.settle());
    const auto got = client.reply();
    return got ? got->body : "no reply";
}

} // namespace

TEST_CASE("a closed template is there for BEDS services, and for nobody else") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    steps done;
    const auto store = done.store();
    node_of_steps only{rabbitmq, tag, store};
    only.start(closed_template());
    raw_client client{rabbitmq, tag};
    const std::string insert =
        R"({"v":1,"template":"steps","op":"insert","data":{"id":1,"last":2}})";
    const std::string fetch = R"({"v":1,"template":"steps","op":"fetch","key":1})";
    const std::string typo = R"({"v":1,"template":"step","op":"fetch","key":1})";

    // Without a verified account nobody knows who asks.
    for (const auto& [key, body] :
         {std::pair{"steps.write", insert}, std::pair{"steps.read", fetch},
          std::pair{"catalog.read", fetch}}) {
        const auto got = answer(client, key, body);
        INFO(got);
        CHECK(contains(got, R"("code":"UNKNOWN_TEMPLATE")"));
        CHECK(contains(got, "there is no template 'steps'"));
    }
    CHECK_FALSE(contains(answer(client, "catalog.read", typo), "did you mean"));
    CHECK(contains(answer(client, "catalog.read", R"({"v":1,"op":"describe"})"),
                   R"("templates":[])"));
    CHECK(contains(answer(client, "catalog.read", R"({"v":1,"op":"describe","template":"steps"})"),
                   R"("code":"UNKNOWN_TEMPLATE")"));

    const auto& own = rabbitmq.user;
    CHECK(contains(answer(client, "steps.write", insert, own), R"("effect":"applied")"));
    CHECK(contains(answer(client, "steps.read", fetch, own), R"("last":2)"));
    CHECK(contains(answer(client, "catalog.read", typo, own), "did you mean 'steps'?"));
    CHECK(contains(answer(client, "catalog.read", R"({"v":1,"op":"describe"})", own),
                   R"("closed":true)"));

    const auto here = client::make_local_client(only.node().registry(), only.node().adapters());
    CHECK(here->call(client::fetch("steps", 1), 5s).ok());
}

TEST_CASE("the accounts of other BEDS services are named in the configuration") {
    const auto rabbitmq = require_amqp();
    const auto tag = unique_name("t") + "_";
    remove_queues_after_the_test(rabbitmq, tag);
    const auto control = shared_servers();
    const auto account = unique_name("beds_a");
    control.rabbitmqctl({"add_user", account, "pw"});
    control.rabbitmqctl({"set_permissions", "-p", rabbitmq.path.empty() ? "/" : rabbitmq.path,
                         account, ".*", ".*", ".*"});
    auto other = rabbitmq;
    other.user = account;
    other.password = "pw";
    const bool named = GENERATE(false, true);
    CAPTURE(named);
    steps done;
    node_of_steps only{rabbitmq, tag, done.store(), [&](config::settings& settings) {
                           if (named) {
                               settings.broker_services["app_server"].services =
                                   "someone_else " + account;
                           }
                       }};
    only.start(closed_template());
    raw_client client{other, tag};
    const auto got =
        answer(client, "steps.read", R"({"v":1,"template":"steps","op":"count"})", account);
    INFO(got);
    CHECK(contains(got, R"("code":"UNKNOWN_TEMPLATE")") == !named);
    control.rabbitmqctl({"delete_user", account});
}
