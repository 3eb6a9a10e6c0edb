#include "core/failpoint_table.hpp"
#include "support/catch.hpp"

using namespace beds::core;
using failpoint::action;
using failpoint::table;

TEST_CASE("a fail point acts at the hit that it names, or every time") {
    table points{"after_commit:hit=3:kill,before_ack:sleep=250"};
    CHECK_FALSE(points.empty());
    CHECK(points.meet("after_commit", {}).empty());
    CHECK(points.meet("after_commit", {}).empty());
    CHECK(points.meet("effect_done", {}).empty());
    const auto third = points.meet("after_commit", {});
    REQUIRE(third.size() == 1);
    CHECK(third.front().what == action::kill);
    CHECK(points.meet("after_commit", {}).empty());
    for (int i = 0; i < 2; ++i) {
        const auto each = points.meet("before_ack", {});
        REQUIRE(each.size() == 1);
        CHECK(each.front().what == action::sleep);
        CHECK(each.front().pause == std::chrono::milliseconds{250});
    }
}

TEST_CASE("a fail point of one message counts only that message") {
    table points{"after_deliver:if_message_id=bad:hit=2:abort"};
    CHECK(points.meet("after_deliver", "good").empty());
    CHECK(points.meet("after_deliver", "bad").empty());
    CHECK(points.meet("after_deliver", "good").empty());
    const auto second = points.meet("after_deliver", "bad");
    REQUIRE(second.size() == 1);
    CHECK(second.front().what == action::abort);
}

TEST_CASE("the actions of fail points") {
    CHECK(table{""}.empty());
    const auto only = [](std::string_view text) {
        table points{text};
        const auto found = points.meet("db_begin", "m");
        REQUIRE(found.size() == 1);
        return found.front();
    };
    CHECK(only("db_begin:stop").what == action::stop);
    CHECK(only("db_begin:error=unreachable").what == action::error);
    CHECK(only("db_begin:error=unreachable").code == errc::unreachable);
    CHECK(only("db_begin:error=outcome_unknown").code == errc::outcome_unknown);
    CHECK(only("db_begin:throw").what == action::defect);
}

TEST_CASE("fail points that are not understood are refused") {
    for (const auto* text :
         {"nowhere:kill", "after_commit", "after_commit:", "after_commit:hit=3",
          "after_commit:hit=x:kill", "after_commit:die", "after_commit:kill:abort",
          "after_commit:sleep", "after_commit:sleep=", "after_commit:error=nonsense",
          "after_commit:if_message_id=:kill", "after_commit:kill,,", ",after_commit:kill"}) {
        INFO(text);
        CHECK_THROWS_AS(table{text}, error);
    }
}
