#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace beds::observe {

enum class level { debug, info, warning, error };
std::string_view to_string(level value);

/// One message to an operator. `id` is stable across versions (errors.md lists them all), so that
/// alerts can be written on it; `text` is for people and may change. Never holds a secret or values
/// of a request.
struct log_record {
    level severity = level::info;
    std::string_view id{};     ///< for example `BEDS_AMQP_TROUBLE`
    std::string_view source{}; ///< who says it: `rel.read/2`, `ipl`, …
    std::string_view text{};
};

/// Where the library's messages go: a level and a callable. The library itself never prints.
///
/// The callable runs on whichever thread has something to say, several at a time, with no internal
/// lock held; only the memory engine speaks while a unit of work holds its store. It must be
/// thread-safe, must not throw and must not call into the object that logs.
class log_sink {
public:
    using function = std::function<void(const log_record&)>;

    /// Discards everything.
    log_sink() = default;
    log_sink(level least, function target) : least_(least), target_(std::move(target)) {}

    [[nodiscard]] bool wants(level severity) const {
        return target_ != nullptr && severity >= least_;
    }
    void write(const log_record& record) const {
        if (wants(record.severity)) {
            target_(record);
        }
    }
    void write(level severity, std::string_view id, std::string_view source,
               std::string_view text) const {
        write({severity, id, source, text});
    }

private:
    level least_ = level::error;
    function target_;
};

} // namespace beds::observe
