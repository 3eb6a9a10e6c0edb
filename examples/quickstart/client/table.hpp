#pragma once

#include <chrono>
#include <string>

namespace quickstart {

/// One line of the table: a request and what came back.
struct line {
    std::string shows = {};
    std::string request = {};
    std::string engine = {};
    std::string answer = {}; ///< status, or the code and the DBA's word
    std::string effect = {};
    std::string rows = {};
    std::chrono::microseconds took{0};
};

/// What was wrong with an answer; nothing when it was right.
struct difference {
    std::string expected = {};
    std::string got = {};

    [[nodiscard]] bool none() const { return expected.empty(); }
};

/// Prints line by line, so that a person sees what is under way, and counts.
class table {
public:
    table();
    void add(const line& shown, const difference& wrong, const std::string& note = {});
    void skip(const std::string& shows, const std::string& request, const std::string& engine,
              const std::string& reason);
    /// The counts. True when every answer was right.
    [[nodiscard]] bool finish() const;
    [[nodiscard]] unsigned skipped() const { return skipped_; }

private:
    unsigned number_ = 0;
    unsigned wrong_ = 0;
    unsigned skipped_ = 0;
};

} // namespace quickstart
