#pragma once

#include "support/catch.hpp"

#include <beds/testing/adapter_conformance.hpp>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

namespace beds::tests {

/// Runs the conformance suite (or the cases whose name holds $BEDS_CONFORMANCE), prints what was
/// skipped, and fails the test once per failed case, and when the reasons of the skipped ones are
/// not `lacks`: an engine that has unlearnt something must not pass.
inline void run_and_report(testing::conformance_fixture& fixture,
                           const std::set<std::string>& lacks = {}) {
    const char* filter = std::getenv("BEDS_CONFORMANCE");
    const auto results = testing::run_conformance(fixture, filter == nullptr ? "" : filter);
    REQUIRE_FALSE(results.empty());
    std::size_t skipped = 0;
    std::set<std::string> reasons;
    for (const auto& each : results) {
        switch (each.verdict) {
        case testing::conformance_verdict::passed:
            SUCCEED(each.name);
            break;
        case testing::conformance_verdict::skipped:
            ++skipped;
            reasons.insert(each.text);
            std::printf("skipped: %s (%s)\n", each.name.c_str(), each.text.c_str());
            break;
        case testing::conformance_verdict::failed:
            FAIL_CHECK(each.name << ": " << each.text);
            break;
        }
    }
    std::printf("%zu cases of the conformance suite, %zu skipped\n", results.size(), skipped);
    if (filter == nullptr) {
        CHECK(reasons == lacks);
    }
}

} // namespace beds::tests
