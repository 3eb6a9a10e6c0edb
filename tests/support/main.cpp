#include "failures.hpp"
#include "leftovers.hpp"

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <exception>
#include <utility>

namespace {

class failure_listener : public
#if __has_include(<catch2/catch_all.hpp>)
                         Catch::EventListenerBase {
    using EventListenerBase::EventListenerBase;
#else
                         Catch::TestEventListenerBase {
    using TestEventListenerBase::TestEventListenerBase;
#endif
    void testCaseEnded(Catch::TestCaseStats const& stats) override {
        if (!stats.totals.assertions.allOk()) {
            beds::test::has_failed = true;
        }
        for (const auto& each : std::exchange(beds::test::after_the_test, {})) {
            try {
                each();
            } catch (const std::exception&) {
                // The server is gone: nothing is left on it.
            }
        }
    }
};
CATCH_REGISTER_LISTENER(failure_listener)

} // namespace

int main(int argc, char** argv) {
    return Catch::Session().run(argc, argv);
}
