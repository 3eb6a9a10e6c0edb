#include "brokers/what_next.hpp"
#include "support/catch.hpp"

#include <initializer_list>
#include <vector>

using namespace std::chrono_literals;
using namespace beds::brokers;
using beds::core::code;
using beds::core::effect;
using beds::core::op_class;
using beds::core::outcome;

namespace {

outcome failed(code why, effect what = effect::none) {
    return outcome::failure(why, "because", {}, what);
}

struct seen {
    std::vector<outcome> results{};
    worked_on message{.op_class = op_class::write, .attempts = 1, .max_attempts = 3};

    seen(std::initializer_list<outcome> given) : results(given) {}
    [[nodiscard]] what_next next() {
        message.results = results;
        return next_for(message);
    }
};

} // namespace

TEST_CASE("what went well is done with") {
    CHECK(seen{outcome::applied(), outcome{}}.next() == what_next::nothing);
    CHECK(seen{outcome::applied(), outcome::skip("")}.next() == what_next::nothing);
}

TEST_CASE("what fails for a while is tried again, as often as is allowed") {
    for (const auto why : {code::backend_unavailable, code::backend_conflict,
                           code::backend_storage_full, code::overloaded}) {
        CHECK(seen{failed(why)}.next() == what_next::retried);
    }
    seen last{failed(code::backend_conflict)};
    last.message.attempts = 2;
    CHECK(last.next() == what_next::retried);
    last.message.attempts = 3;
    CHECK(last.next() == what_next::dead_letter);
    CHECK(seen{failed(code::internal, effect::unknown)}.next() == what_next::retried);
}

TEST_CASE("while its database is away a request waits, and that is no attempt") {
    seen away{failed(code::backend_unavailable)};
    away.message.database_away = true;
    CHECK(away.next() == what_next::parked);
    away.message.attempts = 99;
    CHECK(away.next() == what_next::parked);
    seen wrong{failed(code::invalid_field)};
    wrong.message.database_away = true;
    CHECK(wrong.next() == what_next::dead_letter);
}

TEST_CASE("what is refused for good is never tried again") {
    for (const auto why :
         {code::invalid_envelope, code::invalid_field, code::unknown_template, code::not_found,
          code::rejected, code::duplicate_key, code::id_reused, code::internal}) {
        CHECK(seen{failed(why)}.next() == what_next::dead_letter);
    }
}

TEST_CASE("the template's deadline is one for each attempt, the sender's for all") {
    seen late{failed(code::deadline_exceeded)};
    CHECK(late.next() == what_next::retried);
    late.message.has_deadline = true;
    CHECK(late.next() == what_next::dead_letter);
}

TEST_CASE("reads are not tried again, nor what would be applied once more") {
    seen read{failed(code::backend_unavailable)};
    read.message.op_class = op_class::read;
    CHECK(read.next() == what_next::dead_letter);
    auto once_more = outcome::applied();
    once_more.at_least_once = true;
    CHECK(seen{once_more, failed(code::backend_conflict)}.next() == what_next::dead_letter);
    CHECK(seen{outcome::applied(), failed(code::backend_conflict)}.next() == what_next::retried);
}

TEST_CASE("the effect of a message is that of all of its parts") {
    const auto of = [](std::vector<outcome> results) { return effect_of_all(results); };
    CHECK(of({failed(code::not_found)}) == "none");
    CHECK(of({outcome{}, failed(code::not_found)}) == "none"); // a read, and a refusal
    CHECK(of({outcome::applied(), failed(code::not_found)}) == "partly");
    CHECK(of({failed(code::not_found), outcome::applied()}) == "partly");
    CHECK(of({outcome::applied(), outcome::skip("")}) == "partly");
    CHECK(of({failed(code::limit_exceeded, effect::applied)}) == "applied");
    CHECK(of({outcome{}, failed(code::limit_exceeded, effect::applied)}) == "applied");
    CHECK(of({outcome::applied(), failed(code::not_found),
              failed(code::backend_unavailable, effect::unknown)}) == "unknown");
}

TEST_CASE("the error of a message is the first that is for good") {
    const std::vector<outcome> results{outcome::applied(), failed(code::backend_conflict),
                                       failed(code::rejected), failed(code::invalid_field)};
    REQUIRE(worst_of(results) != nullptr);
    CHECK(worst_of(results)->code == code::rejected);
    const std::vector<outcome> passing{failed(code::overloaded), failed(code::backend_conflict)};
    CHECK(worst_of(passing)->code == code::overloaded);
    CHECK(worst_of(std::vector<outcome>{outcome::applied()}) == nullptr);
}

TEST_CASE("delays grow to a limit and are never the same for all") {
    CHECK(next_retry(1, 0.0).delay == 500ms);
    CHECK(next_retry(1, 1.0).delay == 1s);
    CHECK(next_retry(2, 0.5).delay == 3750ms);
    CHECK(next_retry(3, 1.0).delay == 25s);
    CHECK(next_retry(50, 1.0).delay == 25s);
    CHECK(next_retry(1, 0.0).level == 1);
    CHECK(next_retry(50, 0.0).level == 3);
}
