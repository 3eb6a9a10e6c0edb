#include "common/in_process.hpp"

#include <charconv>
#include <cstdio>
#include <ctime>
#include <stdexcept>

namespace beds::bench {
namespace {

constexpr std::string_view users_template = R"toml(
[template]
name = "users"
store = "rel"
connection = "rel"
object = "bench_users"
key = ["id"]
[fields]
id      = { type = "int64", required = true }
email   = { type = "string", max = 64 }
status  = { type = "int32" }
balance = { type = "int64" }
created = { type = "datetime" }
)toml";

adapters::session_context context() {
    adapters::session_context made;
    made.name = "bench";
    made.log =
        observe::log_sink{observe::level::warning, [](const observe::log_record& record) {
                              std::fprintf(stderr, "%.*s\n", static_cast<int>(record.text.size()),
                                           record.text.data());
                          }};
    return made;
}

} // namespace

std::shared_ptr<const templates::registry> users_registry() {
    auto parsed = templates::parse(users_template);
    if (!parsed.parsed) {
        throw std::runtime_error(to_string(parsed.problems.front()));
    }
    return std::make_shared<templates::registry>(
        std::vector<templates::template_def>{std::move(*parsed.parsed)});
}

in_process::in_process(std::shared_ptr<adapters::adapter> engine,
                       std::shared_ptr<const templates::registry> registry, identities ids)
    : ids_(ids), registry_(std::move(registry)),
      work_(registry_, {engine}, engine->connection_name(), context()),
      run_(std::to_string(std::chrono::system_clock::now().time_since_epoch().count())) {}

std::string_view in_process::next_id() {
    char text[64];
    auto* end = text + run_.copy(text, sizeof text / 2);
    *end++ = '-';
    end = std::to_chars(end, text + sizeof text, ++last_id_).ptr;
    return memory_.copy(std::string_view{text, static_cast<std::size_t>(end - text)});
}

std::span<const std::string_view> in_process::run(std::span<const std::string> bodies) {
    memory_.reset();
    batch_.clear();
    bytes_.clear();
    ends_.clear();
    replies_.clear();
    for (const auto& body : bodies) {
        auto& message = batch_.emplace_back();
        if (const auto refused = decoder_.decode(body, memory_, message.request)) {
            throw std::runtime_error(std::string{refused->detail});
        }
        message.request.principal = "bench";
        message.request.message_id = ids_ == identities::fresh ? next_id() : std::string_view{};
    }
    writer_.start(factory::factory::count(batch_));
    core::op_index first = 0;
    for (const auto& message : batch_) {
        writer_.same_reply(first, message.request.operations.size());
        first += static_cast<core::op_index>(message.request.operations.size());
    }
    work_.run(batch_, writer_, memory_, counters_);
    for (const auto& message : batch_) {
        writer_.append_reply(bytes_, "dev.0000000000000000000000000000", message.request.enveloped,
                             message.first, message.results);
        ends_.push_back(bytes_.size());
    }
    std::size_t begin = 0;
    for (const auto end : ends_) {
        replies_.push_back(std::string_view{bytes_}.substr(begin, end - begin));
        begin = end;
    }
    return replies_;
}

int compare_in_slices(const comparison& what, const bench_options& options, unsigned slices,
                      const std::function<measurement()>& floor,
                      const std::function<measurement()>& beds,
                      const std::function<std::string()>& check) {
    const auto in_turn = [&](const std::function<measurement()>& one, double& seconds,
                             measurement& into) {
        const auto part = one();
        seconds += 1 / part.operations_per_second;
        if (into.wrong == 0) {
            into.first_wrong = part.first_wrong;
        }
        into.wrong += part.wrong;
    };
    measurement ours;
    // The first asks for a round of both, the second gets what was measured then.
    return compare(
        what, options,
        [&] {
            measurement raw;
            ours = {};
            double raw_seconds = 0;
            double our_seconds = 0;
            for (unsigned i = 0; i < slices; ++i) {
                in_turn(i % 2 == 0 ? floor : beds, i % 2 == 0 ? raw_seconds : our_seconds,
                        i % 2 == 0 ? raw : ours);
                in_turn(i % 2 == 0 ? beds : floor, i % 2 == 0 ? our_seconds : raw_seconds,
                        i % 2 == 0 ? ours : raw);
            }
            raw.operations_per_second = slices / raw_seconds;
            ours.operations_per_second = slices / our_seconds;
            return raw;
        },
        [&] { return ours; }, check);
}

std::chrono::nanoseconds thread_time() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

} // namespace beds::bench
