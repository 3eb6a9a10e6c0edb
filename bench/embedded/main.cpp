// A batch of 64 fetches in process, from request bytes to reply bytes, with the engine in memory,
// against a hand-written loop over the same bytes and a hash table (nanoseconds, lower is better;
// goal 400, and nothing from the heap). --envelope N puts N into each message (1). servers: none
#include "common/in_process.hpp"
#include "common/report.hpp"
#include "common/requests.hpp"
#include "support/allocations.hpp"

#include <beds/adapters/memory.hpp>

#include <charconv>
#include <cstdio>
#include <exception>
#include <unordered_map>

using namespace beds::bench;

namespace {

constexpr std::uint64_t per_batch = 64;
constexpr std::int64_t bench_rows = 10'000;

std::int64_t row_of(std::uint64_t operation) {
    return spread_row(operation, bench_rows);
}

std::string email_of(std::int64_t id) {
    return "u" + std::to_string(id) + "@example.org";
}

std::string expected_row(std::int64_t id) {
    return R"("status":"ok","effect":"none","rows":[{"id":)" + std::to_string(id) +
           R"(,"email":")" + email_of(id) +
           R"(","status":1,"balance":100,"created":"2026-01-31T12:00:00Z"}])";
}

void fill(in_process& path) {
    std::vector<std::string> bodies;
    for (std::int64_t id = 1; id <= bench_rows; ++id) {
        bodies.push_back(R"({"v":1,"template":"users","op":"insert","data":{"id":)" +
                         std::to_string(id) + R"(,"email":")" + email_of(id) +
                         R"(","status":1,"balance":100,"created":"2026-01-31T12:00:00Z"}})");
        if (bodies.size() == 500 || id == bench_rows) {
            const auto replies = path.run(bodies);
            for (const auto reply : replies) {
                if (reply.find(R"("effect":"applied")") == std::string_view::npos) {
                    throw std::runtime_error("cannot load: " + std::string{reply});
                }
            }
            bodies.clear();
        }
    }
}

/// What the least that could be called the same work costs: find the key in the bytes, look it up,
/// write the bytes of the reply.
class by_hand {
public:
    by_hand() {
        for (std::int64_t id = 1; id <= bench_rows; ++id) {
            rows_.emplace(id, row{email_of(id), 1, 100, "2026-01-31T12:00:00Z"});
        }
    }

    std::span<const std::string_view> run(std::span<const std::string> bodies) {
        bytes_.clear();
        ends_.clear();
        for (const auto& body : bodies) {
            constexpr std::string_view mark = R"("key":)";
            const bool enveloped = body.find("\"ops\"") != std::string::npos;
            bytes_.append(R"({"v":1,"event":"dev.0000000000000000000000000000",)");
            bytes_.append(enveloped ? R"("status":"ok","results":[)" : "");
            bool first = true;
            for (auto at = body.find(mark); at != std::string::npos; at = body.find(mark, at + 1)) {
                std::int64_t id = 0;
                std::from_chars(body.data() + at + mark.size(), body.data() + body.size(), id);
                bytes_.append(!enveloped ? "" : first ? "{" : ",{");
                first = false;
                append(id);
                bytes_.append(enveloped ? "}" : "");
            }
            bytes_.append(enveloped ? "]}" : "}");
            ends_.push_back(bytes_.size());
        }
        replies_.clear();
        std::size_t begin = 0;
        for (const auto end : ends_) {
            replies_.push_back(std::string_view{bytes_}.substr(begin, end - begin));
            begin = end;
        }
        return replies_;
    }

private:
    struct row {
        std::string email;
        std::int32_t status;
        std::int64_t balance;
        std::string created;
    };

    void number(std::int64_t value) {
        char digits[24];
        bytes_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    }
    void append(std::int64_t id) {
        const auto& found = rows_.at(id);
        bytes_.append(R"("status":"ok","effect":"none","rows":[{"id":)");
        number(id);
        bytes_.append(R"(,"email":")").append(found.email).append(R"(","status":)");
        number(found.status);
        bytes_.append(R"(,"balance":)");
        number(found.balance);
        bytes_.append(R"(,"created":")").append(found.created).append(R"("}])");
    }

    std::unordered_map<std::int64_t, row> rows_;
    std::string bytes_;
    std::vector<std::size_t> ends_;
    std::vector<std::string_view> replies_;
};

struct cost {
    double nanoseconds = 0;
    std::uint64_t allocations = 0;
    std::string wrong;
};

/// Thread CPU time of all batches, answers looked at in between.
template <class Path>
cost measure(Path& path, const std::vector<std::vector<std::string>>& batches,
             std::uint64_t operations, std::uint64_t per_message) {
    cost made;
    std::chrono::nanoseconds spent{0};
    std::uint64_t done = 0;
    for (std::size_t b = 0; done < operations; b = (b + 1) % batches.size()) {
        const auto allocated = beds::test::costs_so_far().allocations;
        const auto begin = thread_time();
        const auto replies = path.run(batches[b]);
        spent += thread_time() - begin;
        made.allocations += beds::test::costs_so_far().allocations - allocated;
        for (std::size_t m = 0; m < replies.size(); ++m) {
            std::size_t at = 0;
            for (std::uint64_t k = 0; k < per_message; ++k) {
                const auto expected = expected_row(row_of(b * per_batch + m * per_message + k));
                at = replies[m].find(expected, at);
                if (at == std::string_view::npos) {
                    made.wrong = "answer: " + std::string{replies[m].substr(0, 300)};
                    return made;
                }
            }
        }
        done += per_batch;
    }
    made.nanoseconds = static_cast<double>(spent.count()) / static_cast<double>(done);
    return made;
}

} // namespace

int main(int argc, char** argv) try {
    const auto options =
        parse_options(argc, argv, "embedded: batches of 64 fetches in process, engine in memory");
    const std::uint64_t per_message = options.envelope != 0 ? options.envelope : 1;
    if (per_batch % per_message != 0) {
        throw std::runtime_error("--envelope must divide 64");
    }
    const auto operations = static_cast<std::uint64_t>(1'000'000 * options.scale);
    comparison what{"embedded",
                    "ns/operation",
                    400,
                    {{"operations", operations},
                     {"batch", per_batch},
                     {"envelope", per_message},
                     {"rows", static_cast<std::uint64_t>(bench_rows)},
                     {"clock", "thread CPU time"}}};
    what.direction = better::lower;
    what.judged = goal_of::value;
    print_settings(what);

    std::vector<std::vector<std::string>> batches(128);
    for (std::size_t b = 0; b < batches.size(); ++b) {
        for (std::uint64_t i = 0; i < per_batch; i += per_message) {
            std::string body = R"({"v":1,)";
            body += per_message == 1 ? "" : R"("ops":[)";
            for (std::uint64_t k = 0; k < per_message; ++k) {
                body += per_message == 1 ? "" : k == 0 ? "{" : ",{";
                body += R"("template":"users","op":"fetch","key":)" +
                        std::to_string(row_of(b * per_batch + i + k));
                body += per_message == 1 ? "" : "}";
            }
            batches[b].push_back(body + (per_message == 1 ? "}" : "]}"));
        }
    }
    in_process path{beds::adapters::make_memory("rel"), users_registry(), identities::fresh};
    fill(path);
    path.use(identities::none);
    by_hand floor;

    std::vector<round> rounds;
    std::string wrong;
    for (unsigned number = 0; number < options.rounds && wrong.empty(); ++number) {
        // Memory of the first batches stays for those after them: not part of a steady state.
        measure(path, batches, 20 * per_batch, per_message);
        const auto raw = measure(floor, batches, operations, per_message);
        const auto ours = measure(path, batches, operations, per_message);
        wrong = raw.wrong + ours.wrong;
        rounds.push_back({raw.nanoseconds, ours.nanoseconds});
        const auto counted = beds::test::costs_are_counted();
        std::printf("  round %u: floor %.0f ns, beds %.0f ns, %s\n", number + 1, raw.nanoseconds,
                    ours.nanoseconds,
                    counted ? (std::to_string(ours.allocations) + " allocations").c_str()
                            : "allocations not counted (sanitizer)");
        if (ours.allocations != 0) {
            wrong = std::to_string(ours.allocations) + " allocations";
        }
    }
    return finish(what, options, rounds, wrong);
} catch (const std::exception& failed) {
    std::fprintf(stderr, "embedded: %s\n", failed.what());
    return 1;
}
