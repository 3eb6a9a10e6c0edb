#include "support/catch.hpp"
#include "support/counters.hpp"
#include "support/folder.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace beds;
using namespace beds::test;
using namespace std::chrono_literals;

namespace {

std::size_t occurrences(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

std::string event_of(const std::string& reply) {
    constexpr std::string_view before = R"("event":")";
    const auto at = reply.find(before);
    REQUIRE(at != std::string::npos);
    const auto begin = at + before.size();
    return reply.substr(begin, reply.find('"', begin) - begin);
}

} // namespace

TEST_CASE("each operation that fails is one line with the event that its caller was told, without "
          "values") {
    const auto rabbitmq = require_amqp();
    const auto mariadb = require_mariadb();
    const auto shared = shared_servers();
    const database data{mariadb, shared};
    make_counters(data, 3);
    const auto rel = data.settings();
    node_options options;
    options.templates = counter_templates();
    running_node node{rabbitmq, &rel, options};
    REQUIRE(node.node().wait_ready(core::deadline::after(20s)));
    raw_client raw{rabbitmq, node.tag()};

    // Every value of a request holds this; none may be seen by those who read logs.
    const std::string canary = "canary-4711";
    struct asked {
        std::string body;
        std::string code;
        std::size_t failed;
    };
    const std::vector<asked> requests{
        {R"({"v":1,"template":"counters","op":"update","key":1,"set":{"note":"canary-4711)" +
             std::string(60, 'x') + R"("}})",
         "INVALID_FIELD", 1},
        {R"({"v":1,"template":"counters","op":"insert","data":{"id":"canary-4711"}})",
         "INVALID_FIELD", 1},
        {R"({"v":1,"template":"nowhere","op":"insert","data":{"id":"canary-4711"}})",
         "UNKNOWN_TEMPLATE", 1},
        {R"({"v":1,"template":"counters","op":"call","name":"canary-4711"})", "", 1},
        {R"(["canary-4711")", "INVALID_ENVELOPE", 1},
        {R"({"v":1,"ops":[{"template":"counters","op":"update","key":2,"set":{"note":"canary-4711"}},)"
         R"({"template":"counters","op":"update","key":"canary-4711","set":{"note":"a"}},)"
         R"({"template":"counters","op":"update","key":3,"set":{"value":"canary-4711"}}]})",
         "INVALID_FIELD", 2},
    };
    const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const auto& one = requests[i];
        const auto id = "lines-" + std::to_string(i);
        raw.publish({.key = "counters.write",
                     .body = one.body,
                     .message_id = id,
                     .reply_to = raw.reply_queue(),
                     .text_headers = {{"traceparent", trace}}});
        REQUIRE(raw.settle());
        const auto reply = raw.reply();
        REQUIRE(reply);
        INFO(reply->body << '\n' << node.log());
        // The line is written when the reply is out.
        const auto event = " event=" + event_of(reply->body) + ' ';
        const auto until = core::deadline::after(5s);
        while (occurrences(node.log(), event) < one.failed && !until.expired()) {
            std::this_thread::sleep_for(2ms);
        }
        CHECK(occurrences(node.log(), event) == one.failed);
        CHECK(occurrences(node.log(), "message_id=" + id + " trace=" + trace) == one.failed);
        if (!one.code.empty()) {
            CHECK(contains(node.log(), "BEDS_REQUEST_FAILED code=" + one.code + " effect=none"));
        }
    }
    CHECK(occurrences(node.log(), "BEDS_REQUEST_FAILED") == 7);
    CHECK_FALSE(contains(node.log(), canary));
}
