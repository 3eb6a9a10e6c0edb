#include "support/catch.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <sstream>
#include <stream.hpp>
#include <thread>
#include <utility>
#include <vector>

using namespace bedsctl;
using beds::client::reply;
using beds::client::request;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream stream{text};
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

/// Answers requests in the reverse order of their arrival, `group` at a time.
class reversing_client final : public beds::client::client {
public:
    explicit reversing_client(std::size_t group) : group_(group) {}

    void submit(request what, beds::core::deadline until, completion done) override {
        CHECK_FALSE(until.expired());
        waiting_.emplace_back(what.operations.front().template_name, std::move(done));
        most_ = std::max(most_, waiting_.size());
        if (waiting_.size() == group_) {
            answer();
        }
    }
    bool wait_ready(beds::core::deadline) override { return true; }
    [[nodiscard]] std::size_t most() const { return most_; }

private:
    void answer() {
        auto taken = std::exchange(waiting_, {});
        while (!taken.empty()) {
            taken.back().second(reply{R"({"v":1,"status":"ok","effect":"none","event":")" +
                                          taken.back().first + "\"}",
                                      {}});
            taken.pop_back();
        }
    }

    std::size_t group_;
    std::size_t most_ = 0;
    std::deque<std::pair<std::string, completion>> waiting_;
};

/// Answers from a thread of its own, only when `window` requests wait, and gives one more the time
/// to come.
class patient_client final : public beds::client::client {
public:
    explicit patient_client(std::size_t window) : window_(window), thread_([this] { answer(); }) {}
    ~patient_client() override {
        {
            const std::lock_guard lock{mutex_};
            stopping_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    patient_client(const patient_client&) = delete;
    patient_client& operator=(const patient_client&) = delete;

    void submit(request, beds::core::deadline, completion done) override {
        const std::lock_guard lock{mutex_};
        waiting_.push_back(std::move(done));
        most_ = std::max(most_, waiting_.size());
        changed_.notify_all();
    }
    bool wait_ready(beds::core::deadline) override { return true; }
    [[nodiscard]] std::size_t most() {
        const std::lock_guard lock{mutex_};
        return most_;
    }

private:
    void answer() {
        std::unique_lock lock{mutex_};
        while (!stopping_) {
            changed_.wait(lock, [&] { return stopping_ || waiting_.size() >= window_; });
            changed_.wait_for(lock, std::chrono::milliseconds{10},
                              [&] { return stopping_ || waiting_.size() > window_; });
            const auto taken = std::exchange(waiting_, {});
            lock.unlock();
            for (const auto& done : taken) {
                done(reply{R"({"v":1,"status":"ok","effect":"none"})", {}});
            }
            lock.lock();
        }
    }

    std::size_t window_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<completion> waiting_;
    std::size_t most_ = 0;
    bool stopping_ = false;
    std::thread thread_; // last: it uses everything above
};

std::string fetch(const std::string& name) {
    return R"({"v":1,"op":"fetch","key":1,"template":")" + name + "\"}";
}

} // namespace

TEST_CASE("replies come in the order of the requests, which do not wait for each other") {
    reversing_client client{3};
    std::istringstream in{fetch("a") + "\n" + fetch("b") + "\n\n  \r\n" + fetch("c")};
    std::ostringstream out;
    CHECK(run_stream(client, in, out) == exit_code::ok);
    const auto lines = lines_of(out.str());
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].find("\"a\"") != std::string::npos);
    CHECK(lines[1].find("\"b\"") != std::string::npos);
    CHECK(lines[2].find("\"c\"") != std::string::npos);
    CHECK(client.most() == 3);
}

TEST_CASE("a line that is no request is answered in its place and not sent") {
    reversing_client client{2};
    std::istringstream in{
        fetch("a") + "\nnonsense\n{\"v\":1,\"op\":\"fetsh\",\"template\":\"x\"}\n" +
        R"({"v":1,"op":"insert","template":"x","data":{},"return":[]})" + "\n" + fetch("b")};
    std::ostringstream out;
    CHECK(run_stream(client, in, out) == exit_code::refused);
    const auto lines = lines_of(out.str());
    REQUIRE(lines.size() == 5);
    CHECK(lines[1].find("INVALID_ENVELOPE") != std::string::npos);
    CHECK(lines[1].find("line 2: ") != std::string::npos);
    CHECK(lines[2].find("line 3: ") != std::string::npos);
    CHECK(lines[3].find("INVALID_ENVELOPE") != std::string::npos);
    CHECK(lines[4].find("\"b\"") != std::string::npos);
    CHECK(client.most() == 2);
}

TEST_CASE("a line that is larger than a node takes is called what a node calls it") {
    reversing_client client{1};
    std::istringstream in{R"({"v":1,"op":"find","template":"x","where":{"a":")" +
                          std::string(17'000'000, 'a') + "\"}}\n"};
    std::ostringstream out;
    CHECK(run_stream(client, in, out) == exit_code::refused);
    CHECK(out.str().find(R"("code":"LIMIT_EXCEEDED")") != std::string::npos);
    CHECK(out.str().size() < 1000);
}

TEST_CASE("not more requests are under way than the window allows") {
    patient_client client{2};
    std::string text;
    for (int i = 0; i < 10; ++i) {
        text += fetch("t" + std::to_string(i)) + "\n";
    }
    std::istringstream in{text};
    std::ostringstream out;
    CHECK(run_stream(client, in, out, {.window = 2}) == exit_code::ok);
    CHECK(lines_of(out.str()).size() == 10);
    CHECK(client.most() == 2);
}

TEST_CASE("output that cannot be written is not a success") {
    reversing_client client{1};
    std::istringstream in{fetch("a")};
    std::ostringstream out;
    out.setstate(std::ios::badbit);
    CHECK(run_stream(client, in, out) == exit_code::unknown);
}
