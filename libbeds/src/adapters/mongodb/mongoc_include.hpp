#pragma once

// The one place that includes the driver's headers, and the owners of its handles.

#include <mongoc/mongoc.h>

#include <cstdint>
#include <memory>
#include <span>

namespace beds::adapters::mongodb {

template <auto Destroy>
struct destroyer {
    template <class T>
    void operator()(T* handle) const {
        Destroy(handle);
    }
};

using uri_handle = std::unique_ptr<mongoc_uri_t, destroyer<mongoc_uri_destroy>>;
using client_handle = std::unique_ptr<mongoc_client_t, destroyer<mongoc_client_destroy>>;
using server_handle =
    std::unique_ptr<mongoc_server_description_t, destroyer<mongoc_server_description_destroy>>;
using stream_handle = std::unique_ptr<mongoc_stream_t, destroyer<mongoc_stream_destroy>>;

static_assert(sizeof(bson_t) == 128, "bson_t is handed to the driver by address");

/// A reply. The driver initialises it; `give()` is for exactly one call.
class owned_bson {
public:
    owned_bson() { bson_init(&value_); }
    ~owned_bson() { bson_destroy(&value_); }
    owned_bson(const owned_bson&) = delete;
    owned_bson& operator=(const owned_bson&) = delete;

    [[nodiscard]] bson_t* give() {
        bson_destroy(&value_);
        return &value_;
    }
    [[nodiscard]] const bson_t* get() const { return &value_; }
    [[nodiscard]] bson_t* get() { return &value_; }

private:
    bson_t value_;
};

/// A document that stands in memory of somebody else.
inline bool view_bson(bson_t& into, const std::uint8_t* data, std::size_t size) {
    return bson_init_static(&into, data, size);
}

} // namespace beds::adapters::mongodb
