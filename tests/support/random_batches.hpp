#pragma once

#include <beds/core/arena.hpp>
#include <beds/factory/factory.hpp>
#include <beds/templates/registry.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

/// Random batches that run together and one operation at a time must answer alike.
namespace beds::test {

inline constexpr std::string_view batch_template = R"toml(
[template]
name  = "things"
store = "rel"
object = "things"
key   = ["id"]
[fields]
id    = { type = "int64", required = true }
owner = { type = "string", max = 20 }
value = { type = "int64", default = 0 }
note  = { type = "string", max = 40 }
[[index]]
fields = ["owner"]
[[index]]
fields = ["value"]
)toml";

inline std::shared_ptr<const templates::registry> batch_registry(const std::string& connection) {
    std::string text{batch_template};
    text.insert(text.find("object"), "connection = \"" + connection + "\"\n");
    auto parsed = templates::parse(text, {}, "things.toml");
    if (!parsed.problems.empty()) {
        throw std::runtime_error(templates::to_string(parsed.problems.front()));
    }
    std::vector<templates::template_def> all;
    all.push_back(std::move(*parsed.parsed));
    return std::make_shared<const templates::registry>(std::move(all));
}

struct random_message {
    std::string id;
    std::string mode;
    std::vector<std::string> operations; ///< JSON without the braces
};

/// Messages have keys and owners of their own: between messages no order is promised. Inside of one
/// they meet on few keys.
inline std::vector<random_message> random_batch(std::mt19937_64& random) {
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    std::vector<random_message> batch(1 + below(5));
    for (unsigned m = 0; m < batch.size(); ++m) {
        auto& message = batch[m];
        message.id = "m" + std::to_string(m);
        const auto mode = below(6);
        message.mode = mode == 0 ? "atomic" : mode == 1 ? "sequence" : "each";
        const auto owner = "\"own" + std::to_string(m) + "\"";
        const auto key = [&] { return std::to_string(m * 100 + below(5)); };
        const auto number = [&] { return std::to_string(below(7)); };
        const auto row = [&] {
            return "{\"id\":" + key() + ",\"owner\":" + owner + ",\"value\":" + number() + "}";
        };
        const std::string where = "\"where\":{\"owner\":" + owner + "}";
        for (unsigned i = 0, count = 1 + below(14); i < count; ++i) {
            std::string op;
            switch (below(16)) {
            case 0:
            case 1:
            case 2:
                op = "\"op\":\"insert\",\"data\":" + row();
                break;
            case 3:
                op = "\"op\":\"insert\",\"data\":[" + row() + "," + row() + "]";
                break;
            case 4:
            case 5:
                op = "\"op\":\"update\",\"key\":" + key() + ",\"inc\":{\"value\":" + number() + "}";
                break;
            case 6:
                op = "\"op\":\"update\",\"key\":" + key() + ",\"set\":{\"note\":\"n" + number() +
                     "\"}";
                break;
            case 7:
                op = "\"op\":\"update\",\"key\":" + key() + ",\"set\":{\"value\":" + number() +
                     "},\"if\":{\"value\":" + number() + "}";
                break;
            case 8:
                op = "\"op\":\"update\"," + where + ",\"inc\":{\"value\":1}";
                break;
            case 9:
            case 10:
                op = "\"op\":\"delete\",\"key\":" + key();
                break;
            case 11:
                op = below(3) != 0 ? "\"op\":\"find\"," + where + ",\"sort\":[\"id\"]"
                                   : "\"op\":\"delete\"," + where;
                break;
            case 12:
                op = "\"op\":\"count\"," + where;
                break;
            case 13:
                op = "\"op\":\"update\",\"key\":" + key() +
                     ",\"set\":{\"valeu\":1}"; // no such field
                break;
            default:
                op = "\"op\":\"fetch\",\"key\":" + key();
                break;
            }
            message.operations.push_back("\"template\":\"things\"," + op);
        }
    }
    return batch;
}

/// Runs messages as one batch; returns the result of each operation, as it would be on the wire.
class batch_runner {
public:
    batch_runner(std::shared_ptr<adapters::adapter> adapter)
        : work_(batch_registry(adapter->connection_name()), {adapter}, adapter->connection_name(),
                [] {
                    adapters::session_context context;
                    context.name = "batches";
                    return context;
                }()) {}

    std::vector<std::string> run(const std::vector<random_message>& batch) {
        memory_.reset();
        std::vector<std::string> bodies;
        std::vector<factory::message> messages;
        bodies.reserve(batch.size());
        for (const auto& from : batch) {
            auto& body = bodies.emplace_back("{\"v\":1,\"mode\":\"" + from.mode + "\",\"ops\":[");
            for (std::size_t i = 0; i < from.operations.size(); ++i) {
                body += (i == 0 ? "{" : ",{") + from.operations[i] + "}";
            }
            body += "]}";
            auto& message = messages.emplace_back();
            if (const auto refused = decoder_.decode(body, memory_, message.request)) {
                throw std::runtime_error(std::string{refused->detail} + ": " + body);
            }
            message.request.message_id = from.id;
            message.request.principal = "tester";
        }
        writer_.start(factory::factory::count(messages));
        work_.run(messages, writer_, memory_, counters_);
        std::vector<std::string> results;
        for (const auto& message : messages) {
            for (std::size_t i = 0; i < message.results.size(); ++i) {
                auto& text = results.emplace_back();
                writer_.append_reply(text, {}, false,
                                     message.first + static_cast<core::op_index>(i),
                                     message.results.subspan(i, 1));
            }
        }
        return results;
    }

    /// `each` operation by operation, each with the id that it has inside of its message.
    std::vector<std::string> run_apart(const std::vector<random_message>& batch) {
        std::vector<std::string> results;
        for (const auto& message : batch) {
            if (message.mode != "each") {
                for (auto& one : run({message})) {
                    results.push_back(std::move(one));
                }
                continue;
            }
            for (std::size_t i = 0; i < message.operations.size(); ++i) {
                results.push_back(
                    run({{message.id + "." + std::to_string(i), "each", {message.operations[i]}}})
                        .front());
            }
        }
        return results;
    }

    std::string contents() {
        return run({{"end", "each", {R"("template":"things","op":"find","sort":["id"])"}}}).front();
    }

private:
    factory::factory work_;
    wire::request_decoder decoder_;
    wire::reply_writer writer_;
    core::arena memory_;
    observe::live_counters counters_;
};

/// A new one each time; BEDS_TEST_SEED repeats a failure.
inline std::uint64_t first_seed() {
    const char* given = std::getenv("BEDS_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

struct batch_difference {
    std::string text; ///< empty: none
};

/// `fresh` gives an engine without rows and without inbox.
inline batch_difference
compare_batch(std::uint64_t seed,
              const std::function<std::shared_ptr<adapters::adapter>()>& fresh) {
    std::mt19937_64 random{seed};
    const auto first = random_batch(random);
    auto second = random_batch(random); // meets the rows of the first
    for (auto& one : second) {
        one.id += "b";
    }
    std::vector<std::string> together;
    std::vector<std::string> apart;
    std::string contents[2];
    {
        batch_runner runner{fresh()};
        together = runner.run(first);
        for (auto& one : runner.run(second)) {
            together.push_back(std::move(one));
        }
        contents[0] = runner.contents();
    }
    {
        batch_runner runner{fresh()};
        apart = runner.run_apart(first);
        for (auto& one : runner.run_apart(second)) {
            apart.push_back(std::move(one));
        }
        contents[1] = runner.contents();
    }
    std::string text;
    std::size_t at = 0;
    const std::vector<random_message>* const both[] = {&first, &second};
    for (const auto* batch : both) {
        for (const auto& message : *batch) {
            for (const auto& op : message.operations) {
                const bool same = together.at(at) == apart.at(at);
                text += std::string{same ? "  " : "! "} + message.id + " " + message.mode + " " +
                        op + "\n";
                if (!same) {
                    text += "    together " + together[at] + "\n    apart    " + apart[at] + "\n";
                }
                ++at;
            }
        }
    }
    if (together == apart && contents[0] == contents[1]) {
        return {};
    }
    return {text + "contents together " + contents[0] + "\ncontents apart    " + contents[1]};
}

} // namespace beds::test
