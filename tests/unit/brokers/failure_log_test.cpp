#include "brokers/failure_log.hpp"
#include "support/catch.hpp"

#include <string>
#include <utility>
#include <vector>

using namespace beds;
using namespace beds::brokers;
using namespace std::chrono_literals;
using core::code;

namespace {

struct lines {
    std::vector<std::pair<std::string, std::string>> all{}; ///< id and text
    observe::level least = observe::level::info;

    failure_log log() {
        return {observe::log_sink{
                    least,
                    [this](const observe::log_record& one) { all.emplace_back(one.id, one.text); }},
                "rel.write/0"};
    }
};

failure of(code what) {
    return {.event = "vm.1",
            .message_id = "m-1",
            .trace = {},
            .template_name = "users",
            .op = core::verb::update,
            .position = 2,
            .result = core::outcome::failure(what, "secret detail", "name")};
}

constexpr core::steady_time start{1'000s};

} // namespace

TEST_CASE("a failed operation is one line, with what finds it again and no words of the request") {
    lines seen;
    auto log = seen.log();
    auto one = of(code::invalid_field);
    one.trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    log.enter(one, start);
    REQUIRE(seen.all.size() == 1);
    CHECK(seen.all[0].first == "BEDS_REQUEST_FAILED");
    CHECK(seen.all[0].second ==
          "code=INVALID_FIELD effect=none template=users op=update event=vm.1 position=2 "
          "message_id=m-1 trace=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
}

TEST_CASE("callers cannot write lines of a log") {
    lines seen;
    auto log = seen.log();
    auto one = of(code::unknown_template);
    one.message_id = "a\nb c=\"d\"";
    const std::string longer(500, 'x');
    one.template_name = longer;
    log.enter(one, start);
    REQUIRE(seen.all.size() == 1);
    CHECK(seen.all[0].second ==
          "code=UNKNOWN_TEMPLATE effect=none template=" + std::string(64, 'x') +
              "... op=update event=vm.1 position=2 message_id=a?b?c??d?");
}

TEST_CASE("what applications are told in the course of their work is debug") {
    lines seen;
    auto log = seen.log();
    log.enter(of(code::not_found), start);
    log.enter(of(code::duplicate_key), start);
    CHECK(seen.all.empty());
    seen.least = observe::level::debug;
    auto all = seen.log();
    all.enter(of(code::not_found), start);
    CHECK(seen.all.size() == 1);
}

TEST_CASE("lines of a second are bounded, and the rest is summed up") {
    lines seen;
    auto log = seen.log();
    for (std::uint32_t i = 0; i < failure_log::most_a_second + 7; ++i) {
        log.enter(of(i % 2 == 0 ? code::internal : code::forbidden), start + 1ms * i);
    }
    CHECK(seen.all.size() == failure_log::most_a_second);
    log.sum_up(start + 900ms);
    CHECK(seen.all.size() == failure_log::most_a_second);
    log.sum_up(start + 1s);
    REQUIRE(seen.all.size() == failure_log::most_a_second + 1);
    CHECK(seen.all.back().first == "BEDS_REQUESTS_FAILED");
    CHECK(seen.all.back().second == "7 more failed: FORBIDDEN 3 INTERNAL 4");
    log.sum_up(start + 2s);
    log.enter(of(code::internal), start + 2s);
    CHECK(seen.all.size() == failure_log::most_a_second + 2);
}
