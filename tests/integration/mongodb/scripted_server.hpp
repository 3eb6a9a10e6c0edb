#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace beds::test::mongodb {

/// What the scripted server does with a command.
struct scripted_reply {
    enum class action {
        answer,      ///< with `json`
        hang_up,     ///< closes the connection without an answer
        stand_still, ///< keeps the connection and says nothing
    };
    scripted_reply::action what = action::answer;
    std::string json = R"({"ok": 1})"; ///< Extended JSON
    std::vector<std::uint8_t> bytes{}; ///< not empty: in its place, whatever they are
};

/// Speaks as much of MongoDB's protocol as a driver needs and answers as the test says: for what a
/// real server does only in trouble (no rights, no space, stepping down, going away in the middle).
/// Transactions it refuses, as a mongod does that is no member of a replica set.
class scripted_server {
public:
    /// The name of the command and the whole of it as canonical Extended JSON.
    using script = std::function<scripted_reply(std::string_view name, const std::string& command)>;

    explicit scripted_server(script answers, int wire_version = 13);
    ~scripted_server();
    scripted_server(const scripted_server&) = delete;
    scripted_server& operator=(const scripted_server&) = delete;

    [[nodiscard]] std::string uri() const;
    /// All commands so far but the driver's own greetings, as canonical Extended JSON.
    [[nodiscard]] std::vector<std::string> commands() const;
    /// Those of them that would run for as long as they like: the server is not told when to end
    /// them. Not `ping`, nor `getMore`, with which servers take no limit, nor logging in.
    [[nodiscard]] std::vector<std::string> without_limit() const;
    /// The driver's greetings alone.
    [[nodiscard]] std::vector<std::string> greetings() const;
    /// Ends all connections that are open now; new ones are taken.
    void drop_connections();

    /// What is sent for it.
    static std::vector<std::uint8_t> bson_of(const std::string& json);

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace beds::test::mongodb
