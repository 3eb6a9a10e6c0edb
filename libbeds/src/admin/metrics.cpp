#include <beds/admin/pages.hpp>

#include <locale>
#include <map>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sstream>
#include <utility>

namespace beds::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using labels = std::vector<ClientMetric::Label>;

class families {
public:
    MetricFamily& add(const char* name, const char* help, MetricType type) {
        all_.push_back({name, help, type, {}});
        return all_.back();
    }
    [[nodiscard]] std::string text() const {
        std::ostringstream out;
        out.imbue(std::locale::classic());
        prometheus::TextSerializer{}.Serialize(out, all_);
        return std::move(out).str();
    }

private:
    std::vector<MetricFamily> all_;
};

void counter(MetricFamily& to, labels with, std::uint64_t value) {
    auto& made = to.metric.emplace_back();
    made.label = std::move(with);
    made.counter.value = static_cast<double>(value);
}

void gauge(MetricFamily& to, labels with, double value) {
    auto& made = to.metric.emplace_back();
    made.label = std::move(with);
    made.gauge.value = value;
}

/// `scale`: how many of the histogram's own units are one of the metric's.
void distribution(MetricFamily& to, labels with, const observe::histogram& of, double scale) {
    auto& made = to.metric.emplace_back();
    made.label = std::move(with);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < of.bounds.size(); ++i) {
        below += of.counts[i];
        made.histogram.bucket.push_back({below, static_cast<double>(of.bounds[i]) / scale});
    }
    made.histogram.sample_count = of.count();
    made.histogram.sample_sum = static_cast<double>(of.sum) / scale;
}

void add_traffic(families& to, const std::vector<observe::template_traffic>& traffic) {
    auto& requests = to.add("beds_requests_total",
                            "Operations that ended, by template, operation and code. Empty "
                            "template: none that is known here.",
                            MetricType::Counter);
    for (const auto& each : traffic) {
        for (const auto& line : each.requests) {
            counter(
                requests,
                {{"template", each.name},
                 {"op", std::string{line.op ? core::to_string(*line.op) : ""}},
                 {"code", std::string{line.code == core::code::ok ? std::string_view{"OK"}
                                                                  : core::to_string(line.code)}}},
                line.count);
        }
    }
    using figure = std::uint64_t observe::template_traffic::*;
    struct line {
        const char* name;
        const char* help;
        figure value;
    };
    constexpr line lines[]{
        {"beds_received_total",
         "Operations received; always replied_ok + rejected + unknown + dead + requeued + "
         "in_flight.",
         &observe::template_traffic::received},
        {"beds_replied_ok_total", "Operations that were done.",
         &observe::template_traffic::replied_ok},
        {"beds_rejected_total", "Operations that were refused, failed or skipped, without effect.",
         &observe::template_traffic::rejected},
        {"beds_unknown_total", "Operations whose effect is unknown.",
         &observe::template_traffic::unknown},
        {"beds_dead_total", "Operations whose message went to the dead queue.",
         &observe::template_traffic::dead},
        {"beds_requeued_total", "Operations that were given back to their queue unanswered.",
         &observe::template_traffic::requeued},
    };
    for (const auto& one : lines) {
        auto& family = to.add(one.name, one.help, MetricType::Counter);
        for (const auto& each : traffic) {
            counter(family, {{"template", each.name}}, each.*one.value);
        }
    }
    auto& in_flight = to.add("beds_in_flight", "Operations being worked on.", MetricType::Gauge);
    for (const auto& each : traffic) {
        gauge(in_flight, {{"template", each.name}}, static_cast<double>(each.in_flight));
    }
}

/// The brokers of one connection and class together.
struct pool_sum {
    std::uint64_t brokers = 0, messages = 0, batches = 0, replies = 0, replies_returned = 0,
                  reruns = 0;
    observe::histogram batch_operations;
    observe::histogram message_time;
};

void add_brokers(families& to, const std::vector<observe::broker_counters>& brokers) {
    std::map<std::pair<std::string, core::op_class>, pool_sum> pools;
    for (const auto& one : brokers) {
        auto& sum = pools[{one.connection, one.op_class}];
        ++sum.brokers;
        sum.messages += one.messages;
        sum.batches += one.batches;
        sum.replies += one.replies;
        sum.replies_returned += one.replies_returned;
        sum.reruns += one.reruns;
        sum.batch_operations.add(one.batch_operations);
        sum.message_time.add(one.message_time);
    }
    const auto labels_of = [](const auto& key) {
        return labels{{"connection", key.first},
                      {"class", std::string{core::to_string(key.second)}}};
    };
    auto& seconds =
        to.add("beds_request_seconds", "Time from reading a request message to acknowledging it.",
               MetricType::Histogram);
    for (const auto& [key, sum] : pools) {
        constexpr double microseconds = 1e6;
        distribution(seconds, labels_of(key), sum.message_time, microseconds);
    }
    auto& operations =
        to.add("beds_batch_operations", "Operations worked on together.", MetricType::Histogram);
    for (const auto& [key, sum] : pools) {
        distribution(operations, labels_of(key), sum.batch_operations, 1);
    }
    using figure = std::uint64_t pool_sum::*;
    struct line {
        const char* name;
        const char* help;
        MetricType type;
        figure value;
    };
    constexpr line lines[]{
        {"beds_messages_total", "Request messages taken.", MetricType::Counter,
         &pool_sum::messages},
        {"beds_batches_total", "Batches worked on.", MetricType::Counter, &pool_sum::batches},
        {"beds_replies_total", "Reply messages published.", MetricType::Counter,
         &pool_sum::replies},
        {"beds_replies_returned_total", "Replies whose queue was gone.", MetricType::Counter,
         &pool_sum::replies_returned},
        {"beds_reruns_total",
         "Batches, or parts of them, run again: deadlocks, held rows, known ids.",
         MetricType::Counter, &pool_sum::reruns},
        {"beds_brokers", "Brokers of this node.", MetricType::Gauge, &pool_sum::brokers},
    };
    for (const auto& one : lines) {
        auto& family = to.add(one.name, one.help, one.type);
        for (const auto& [key, sum] : pools) {
            if (one.type == MetricType::Gauge) {
                gauge(family, labels_of(key), static_cast<double>(sum.*one.value));
            } else {
                counter(family, labels_of(key), sum.*one.value);
            }
        }
    }
    // The first connection is none that was made again.
    std::map<std::string, std::uint64_t> again;
    const auto reconnects = [](std::uint64_t connects) { return connects == 0 ? 0 : connects - 1; };
    for (const auto& one : brokers) {
        again["rabbitmq"] += reconnects(one.amqp_connects);
        again[one.connection] += reconnects(one.backend_connects);
    }
    auto& family =
        to.add("beds_reconnects_total", "Connections made again, to RabbitMQ and to each database.",
               MetricType::Counter);
    for (const auto& [backend, count] : again) {
        counter(family, {{"backend", backend}}, count);
    }
}

void add_reloads(families& to, const node::reload_status& of) {
    auto& reloads = to.add("beds_reloads_total", "Reloads of the templates, by what came of them.",
                           MetricType::Counter);
    using node::reload_result;
    for (const auto& [result, count] : {std::pair{reload_result::changed, of.changed},
                                        std::pair{reload_result::unchanged, of.unchanged},
                                        std::pair{reload_result::refused, of.refused}}) {
        counter(reloads, {{"result", std::string{to_string(result)}}}, count);
    }
    if (!of.at) {
        return;
    }
    gauge(to.add("beds_last_reload_ok",
                 "0: the last reload was refused; the templates of before "
                 "are in force.",
                 MetricType::Gauge),
          {}, of.last.result == reload_result::refused ? 0 : 1);
    gauge(to.add("beds_last_reload_timestamp_seconds", "When it ended.", MetricType::Gauge), {},
          std::chrono::duration<double>(of.at->time_since_epoch()).count());
    gauge(to.add("beds_brokers_before_last_reload",
                 "Brokers that still end a batch by the templates of before.", MetricType::Gauge),
          {}, static_cast<double>(of.last.brokers - of.last.following));
}

} // namespace

std::string metrics_text(const view& of) {
    families all;
    add_traffic(all, of.traffic);
    add_brokers(all, of.status.brokers);
    auto& waiting = all.add("beds_queue_messages",
                            "Messages that wait in a queue of RabbitMQ, without those that brokers "
                            "hold. Missing while RabbitMQ does not answer.",
                            MetricType::Gauge);
    for (const auto& one : of.queues) {
        gauge(waiting, {{"service", one.service}, {"queue", one.queue}}, one.messages);
    }
    gauge(all.add("beds_live", "1: the node runs and none of its brokers is stuck.",
                  MetricType::Gauge),
          {}, of.status.live ? 1 : 0);
    gauge(all.add("beds_ready", "1: every required dependency can be used.", MetricType::Gauge), {},
          of.status.ready ? 1 : 0);
    add_reloads(all, of.status.reload);
    auto& dependencies =
        all.add("beds_dependency_ready", "1: it can be used by all brokers.", MetricType::Gauge);
    for (const auto& one : of.status.dependencies) {
        gauge(dependencies,
              {{"dependency", one.name}, {"required", one.required ? "true" : "false"}},
              one.ready ? 1 : 0);
    }
    return all.text();
}

} // namespace beds::admin
