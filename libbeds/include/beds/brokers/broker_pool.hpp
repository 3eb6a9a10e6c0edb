#pragma once

#include <beds/brokers/broker.hpp>

#include <memory>
#include <vector>

namespace beds::brokers {

/// The brokers of one connection and class, or of its lanes, on one node. Its size is the throttle:
/// so many operations of this kind can be under way against the database at a time, batches not
/// counted.
class broker_pool {
public:
    broker_pool(const broker_settings& each, std::uint32_t size,
                const std::shared_ptr<const factory::template_set>& set,
                std::vector<std::shared_ptr<adapters::adapter>> adapters,
                const adapters::session_context& context);

    void start();
    void stop(core::deadline until);
    void join();

    [[nodiscard]] const std::string& connection() const { return connection_; }
    [[nodiscard]] core::op_class op_class() const { return op_class_; }
    [[nodiscard]] bool ordered() const { return ordered_; } ///< works on lanes
    [[nodiscard]] std::span<const std::unique_ptr<broker>> brokers() const { return brokers_; }

private:
    std::string connection_;
    core::op_class op_class_;
    bool ordered_;
    std::vector<std::unique_ptr<broker>> brokers_;
};

} // namespace beds::brokers
