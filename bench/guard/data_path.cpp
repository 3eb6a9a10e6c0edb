// What a broker does between RabbitMQ's bytes and RabbitMQ's bytes, with the engine in memory: the
// same requests in the same order whenever it runs. bench/instructions counts its instructions,
// `--time` measures its layers.
#include <beds/adapters/memory.hpp>
#include <beds/factory/factory.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

using namespace beds;

namespace {

constexpr std::uint64_t stored_rows = 1000;
constexpr std::uint64_t per_batch = 64;

constexpr std::string_view users = R"(
template = { name = "users", store = "rel", connection = "mem", object = "users", key = ["id"] }
[fields]
id      = { type = "int64", required = true }
email   = { type = "string", max = 64 }
status  = { type = "int32" }
balance = { type = "int64" }
created = { type = "datetime" }
[[index]]
fields = ["email"]
unique = true
)";

std::string row(std::uint64_t id) {
    const auto text = std::to_string(id);
    return R"({"id":)" + text + R"(,"email":"u)" + text +
           R"(@example.org","status":1,"balance":100,"created":"2026-01-31T12:00:00Z"})";
}

struct kind {
    const char* name;
    std::uint64_t per_message;
    /// Operation i, without `"v"` and braces.
    std::string (*make)(std::uint64_t i);
    /// Has to stand in every answer.
    const char* right;
};

std::string fetch(std::uint64_t i) {
    return R"("template":"users","op":"fetch","key":)" + std::to_string(1 + i * 7919 % stored_rows);
}
std::string find(std::uint64_t i) {
    return R"("template":"users","op":"find","where":{"email":"u)" +
           std::to_string(1 + i * 7919 % stored_rows) + R"(@example.org"})";
}
std::string insert(std::uint64_t i) {
    return R"("template":"users","op":"insert","data":)" + row(stored_rows + 1 + i);
}
std::string update(std::uint64_t i) {
    return R"("template":"users","op":"update","key":)" +
           std::to_string(1 + i * 7919 % stored_rows) + R"(,"inc":{"balance":1})";
}

constexpr kind kinds[] = {
    {"fetch", 1, fetch, R"("status":"ok","effect":"none","rows":[{"id":)"},
    {"fetch_envelope", 32, fetch, R"("status":"ok","effect":"none","rows":[{"id":)"},
    {"find", 1, find, R"("status":"ok","effect":"none","rows":[{"id":)"},
    {"insert", 1, insert, R"("status":"ok","effect":"applied","count":1)"},
    {"update", 1, update, R"("status":"ok","effect":"applied","count":1)"},
    {"update_envelope", 32, update, R"("status":"ok","effect":"applied","count":1)"},
};

struct batch {
    std::vector<std::string> bodies;
    std::vector<std::string> ids;
};

batch make(const kind& of, std::uint64_t& next) {
    static std::uint64_t messages = 0;
    batch made;
    for (std::uint64_t i = 0; i < per_batch; i += of.per_message) {
        std::string body = R"({"v":1,)";
        if (of.per_message == 1) {
            body += of.make(next++);
        } else {
            body += R"("ops":[)";
            for (std::uint64_t k = 0; k < of.per_message; ++k) {
                body.append(k == 0 ? "{" : ",{").append(of.make(next++)).append("}");
            }
            body += "]";
        }
        made.bodies.push_back(body + "}");
        // As long as the UUIDs that clients send.
        char id[40];
        std::snprintf(id, sizeof id, "0198f1c2-7b3a-7d2e-91c0-%012llx",
                      static_cast<unsigned long long>(++messages));
        made.ids.emplace_back(id);
    }
    return made;
}

class data_path {
public:
    data_path()
        : registry_(std::make_shared<templates::registry>(
              std::vector<templates::template_def>{templates::parse(users).parsed.value()})),
          work_(registry_, {adapters::make_memory("mem")}, "mem", {}) {}

    // Three functions that are seen in profiles.
    [[gnu::noinline]] void decode(const batch& what) {
        memory_.reset();
        messages_.clear();
        for (std::size_t i = 0; i < what.bodies.size(); ++i) {
            auto& message = messages_.emplace_back();
            if (decoder_.decode(what.bodies[i], memory_, message.request)) {
                throw std::runtime_error("a request was refused");
            }
            message.request.message_id = what.ids[i];
            message.request.principal = "anonymous";
        }
        writer_.start(factory::factory::count(messages_));
        core::op_index first = 0;
        for (const auto& message : messages_) {
            writer_.same_reply(first, message.request.operations.size());
            first += static_cast<core::op_index>(message.request.operations.size());
        }
    }
    [[gnu::noinline]] void run() { work_.run(messages_, writer_, memory_, counters_); }
    [[gnu::noinline]] void reply() {
        replies_.clear();
        for (const auto& message : messages_) {
            writer_.append_reply(replies_, "dev.019a4c1f3b7a5d2e11c000000001",
                                 message.request.enveloped, message.first, message.results);
        }
    }

    /// The replies of the last batch, one after the other.
    [[nodiscard]] const std::string& replies() const { return replies_; }

private:
    std::shared_ptr<templates::registry> registry_;
    factory::factory work_;
    wire::request_decoder decoder_;
    wire::reply_writer writer_;
    core::arena memory_;
    observe::live_counters counters_;
    std::vector<factory::message> messages_;
    std::string replies_;
};

double processor_time() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void verify(const data_path& path, const char* right) {
    std::uint64_t found = 0;
    for (auto at = path.replies().find(right); at != std::string::npos;
         at = path.replies().find(right, at + 1)) {
        ++found;
    }
    if (found != per_batch) {
        throw std::runtime_error("answers are wrong: " + path.replies().substr(0, 300));
    }
}

} // namespace

/// What is counted: callgrind is told this name.
extern "C" [[gnu::noinline]] void beds_measured(void* path, const void* batches) {
    auto& through = *static_cast<data_path*>(path);
    for (const auto& one : *static_cast<const std::vector<batch>*>(batches)) {
        through.decode(one);
        through.run();
        through.reply();
    }
}

int main(int argc, char** argv) try {
    const kind* chosen = nullptr;
    for (const auto& one : kinds) {
        if (argc > 1 && std::strcmp(argv[1], one.name) == 0) {
            chosen = &one;
        }
    }
    const bool timed = argc == 3 && std::strcmp(argv[2], "--time") == 0;
    if (chosen == nullptr || (argc > 2 && !timed)) {
        std::fprintf(stderr, "%s KIND [--time], KIND one of:", argv[0]);
        for (const auto& one : kinds) {
            std::fprintf(stderr, " %s", one.name);
        }
        std::fprintf(stderr, "\n");
        return 2;
    }
    data_path path;
    std::uint64_t next = 0;
    const kind filling{"", 1,
                       [](std::uint64_t i) {
                           return R"("template":"users","op":"insert",)"
                                  R"("data":)" +
                                  row(1 + i);
                       },
                       ""};
    while (next < stored_rows) {
        const auto some = make(filling, next);
        path.decode(some);
        path.run();
        path.reply();
    }
    next = chosen->make == insert ? per_batch : 0; // the last batch filled beyond stored_rows
    const auto prepare = [&](std::uint64_t count) {
        std::vector<batch> made;
        for (std::uint64_t i = 0; i < count; ++i) {
            made.push_back(make(*chosen, next));
        }
        return made;
    };
    for (const auto& one : prepare(8)) { // everything has its size and its place
        path.decode(one);
        path.run();
        path.reply();
        verify(path, chosen->right);
    }
    if (!timed) {
        const auto batches = prepare(16);
        beds_measured(&path, &batches);
        verify(path, chosen->right);
        std::printf("%llu\n", static_cast<unsigned long long>(batches.size() * per_batch));
        return 0;
    }
    // The best of many slices, by the thread's processor time: what others do on the machine is not
    // the question.
    std::array<double, 3> best{};
    for (int slice = 0; slice < 40; ++slice) {
        std::array<double, 3> spent{};
        const auto batches = prepare(64);
        for (const auto& one : batches) {
            const auto began = processor_time();
            path.decode(one);
            const auto decoded = processor_time();
            path.run();
            const auto ran = processor_time();
            path.reply();
            spent[0] += decoded - began;
            spent[1] += ran - decoded;
            spent[2] += processor_time() - ran;
        }
        const auto sum = [](const auto& of) { return std::accumulate(of.begin(), of.end(), 0.0); };
        if (slice == 0 || sum(spent) < sum(best)) {
            best = spent;
        }
    }
    verify(path, chosen->right);
    for (auto& one : best) {
        one /= 64 * per_batch;
    }
    std::printf("%-16s decode %4.0f, factory and memory engine %4.0f, reply %4.0f, all %4.0f ns of "
                "processor time an operation\n",
                chosen->name, best[0], best[1], best[2],
                std::accumulate(best.begin(), best.end(), 0.0));
    return 0;
} catch (const std::exception& failed) {
    std::fprintf(stderr, "%s\n", failed.what());
    return 1;
}
