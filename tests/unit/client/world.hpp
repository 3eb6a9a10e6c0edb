#pragma once

#include <beds/adapters/memory.hpp>
#include <beds/client/local_client.hpp>
#include <beds/templates/registry.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace beds::test {

/// A door that a procedure waits at, so that a test decides how long work takes.
class gate {
public:
    /// For the procedure. Gives up after 20 seconds, so that a failing test ends.
    void pass() {
        std::unique_lock lock{mutex_};
        ++arrived_;
        changed_.notify_all();
        changed_.wait_for(lock, patience, [&] { return open_; });
    }
    void open() {
        const std::lock_guard lock{mutex_};
        open_ = true;
        changed_.notify_all();
    }
    /// Waits until this many came to the door.
    bool wait_for(int arrivals) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, patience, [&] { return arrived_ >= arrivals; });
    }

private:
    static constexpr std::chrono::seconds patience{20};
    std::mutex mutex_;
    std::condition_variable changed_;
    int arrived_ = 0;
    bool open_ = false;
};

constexpr std::string_view items = R"toml(
[template]
name       = "items"
store      = "rel"
connection = "mem"
object     = "items"
key        = ["id"]
[fields]
id   = { type = "int64", required = true }
name = { type = "string", max = 40 }
[calls.wait]
procedure = "wait"
class     = "write"
args      = [["id", "int64"]]
[calls.look]
procedure = "look"
class     = "read"
)toml";

/// A client in process over `items` in memory. The calls `wait` (inserts its id, then waits at the
/// door) and `look` (only waits) take as long as the test wants.
struct world {
    gate door;
    std::shared_ptr<const templates::registry> registry =
        std::make_shared<const templates::registry>(
            std::vector{templates::parse(items).parsed.value()});
    std::shared_ptr<adapters::adapter> memory = adapters::make_memory("mem", procedures());
    std::unique_ptr<client::client> beds;

    explicit world(client::local_client_settings settings = {})
        : beds(another(std::move(settings))) {}
    ~world() { door.open(); }

    [[nodiscard]] std::unique_ptr<client::client>
    another(client::local_client_settings settings = {}) const {
        return client::make_local_client(registry, {memory}, std::move(settings));
    }

private:
    adapters::memory_settings procedures() {
        adapters::memory_settings made;
        made.calls.emplace("wait", [this](adapters::memory_call& call) {
            const adapters::assignment row[] = {{*call.target().find_field("id"), call.args()[0]}};
            const auto inserted = call.insert(call.target(), row);
            door.pass();
            return inserted;
        });
        made.calls.emplace("look", [this](adapters::memory_call&) {
            door.pass();
            return core::outcome{};
        });
        return made;
    }
};

/// Collects the replies of calls by their number.
class inbox {
public:
    explicit inbox(std::size_t calls) : got_(calls) {}
    client::client::completion place(std::size_t call) {
        return [this, call](client::reply got) {
            const std::lock_guard lock{mutex_};
            got_[call].push_back(std::move(got));
            ++count_;
            changed_.notify_all();
        };
    }
    bool wait_for(std::size_t replies) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return count_ >= replies; });
    }
    std::size_t count() {
        const std::lock_guard lock{mutex_};
        return count_;
    }
    /// Every reply that this call got: one, if all is right.
    std::vector<client::reply> of(std::size_t call) {
        const std::lock_guard lock{mutex_};
        return got_[call];
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::vector<client::reply>> got_;
    std::size_t count_ = 0;
};

} // namespace beds::test
