#pragma once

#include "common/report.hpp"

#include <beds/adapters/adapter.hpp>
#include <beds/factory/factory.hpp>
#include <beds/wire/reply.hpp>
#include <beds/wire/request.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::bench {

/// The template of the benches' table, served by the connection `rel`.
std::shared_ptr<const templates::registry> users_registry();

/// Whether messages carry an id, as writes must.
enum class identities { none, fresh };

/// What a broker does between RabbitMQ's bytes and RabbitMQ's bytes, on the caller's thread.
class in_process {
public:
    in_process(std::shared_ptr<adapters::adapter> engine,
               std::shared_ptr<const templates::registry> registry, identities ids);
    void use(identities ids) { ids_ = ids; }

    /// One reply per request; valid until the next run.
    std::span<const std::string_view> run(std::span<const std::string> bodies);

    [[nodiscard]] const observe::live_counters& counters() const { return counters_; }

private:
    std::string_view next_id();

    identities ids_;
    std::shared_ptr<const templates::registry> registry_;
    factory::factory work_;
    wire::request_decoder decoder_;
    wire::reply_writer writer_;
    core::arena memory_;
    observe::live_counters counters_;
    std::vector<factory::message> batch_;
    std::string bytes_;
    std::vector<std::size_t> ends_;
    std::vector<std::string_view> replies_;
    std::uint64_t last_id_ = 0;
    std::string run_; ///< ids differ between runs of the program
};

/// As `compare`, with each round cut into slices in which floor and BEDS take turns, so that what
/// else the machine does meets both. `floor` and `beds` do one slice, always of the same size.
int compare_in_slices(const comparison& what, const bench_options& options, unsigned slices,
                      const std::function<measurement()>& floor,
                      const std::function<measurement()>& beds,
                      const std::function<std::string()>& check = {});

/// CPU time of the calling thread.
std::chrono::nanoseconds thread_time();

} // namespace beds::bench
