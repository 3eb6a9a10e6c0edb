#include "support/catch.hpp"

#include <progress.hpp>
#include <sstream>

using namespace bedsctl;
using namespace std::chrono_literals;

namespace {

const progress::clock::time_point begin{};

} // namespace

TEST_CASE("progress: a line now and then, with the rate and what is left") {
    std::ostringstream out;
    progress shown{out, progress::manner::lines, begin};
    shown.show({.rows = 1}, begin + 9s);
    CHECK(out.str().empty());
    shown.show({.rows = 1'234'567, .part = 0.0}, begin + 10s);
    CHECK(out.str() == "1,234,567 rows, 123,456/s, 0 %\n");
    shown.show({.rows = 2'000'000, .part = 0.25}, begin + 19s);
    out.str("");
    shown.show({.rows = 2'000'000, .rejected = 3, .part = 0.25}, begin + 20s);
    CHECK(out.str() == "2,000,000 rows, 100,000/s, 25 %, 3 rejected, 0:01:00 left\n");
    shown.end();
    CHECK(out.str().ends_with("left\n"));
}

TEST_CASE("progress: what is gone on with counts what is left by its own pace") {
    std::ostringstream out;
    progress shown{out, progress::manner::lines, begin};
    shown.show({.rows = 0, .part = 0.5}, begin + 1s);
    shown.show({.rows = 100, .part = 0.75}, begin + 7'200s);
    CHECK(out.str() == "100 rows, 0/s, 75 %, 2:00:00 left\n");
}

TEST_CASE("progress: on a terminal one line that is written over, and ended") {
    std::ostringstream out;
    progress shown{out, progress::manner::terminal, begin};
    shown.show({.rows = 100}, begin + 400ms);
    shown.show({.rows = 100}, begin + 500ms);
    shown.show({.rows = 150}, begin + 900ms);
    shown.show({.rows = 200}, begin + 1s);
    CHECK(out.str() == "\r100 rows, 200/s\x1b[K\r200 rows, 200/s\x1b[K");
    shown.end();
    shown.end();
    CHECK(out.str().ends_with("\x1b[K\n"));
}

TEST_CASE("progress: nothing when nobody wants it") {
    std::ostringstream out;
    progress shown{out, progress::manner::quiet, begin};
    shown.show({.rows = 100}, begin + 1h);
    shown.end();
    CHECK(out.str().empty());
}
