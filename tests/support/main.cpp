#include "failures.hpp"

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

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
    }
};
CATCH_REGISTER_LISTENER(failure_listener)

} // namespace

int main(int argc, char** argv) {
    return Catch::Session().run(argc, argv);
}
