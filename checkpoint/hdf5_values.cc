#include "checkpoint/hdf5_values.h"

#include <algorithm>
#include <cstring>

#include "checkpoint/store_error.h"
#include "checkpoint/zstd_filter.h"

namespace ftmpi::checkpoint {
namespace {

// A compound type of uint64 members (rank: int32) at the offsets of a struct.
struct Member {
  const char* name;
  std::size_t offset;
  hid_t type;
};

Hdf5Handle Compound(Hdf5File* file, std::size_t size, std::span<const Member> members) {
  Hdf5Handle type = file->Check(H5Tcreate(H5T_COMPOUND, size), H5Tclose, "make a compound type");
  for (const Member& member : members) {
    file->Check(H5Tinsert(type.get(), member.name, member.offset, member.type),
                "make a compound type");
  }
  return type;
}

Hdf5Handle RunType(Hdf5File* file) {
  const Member members[] = {{"first_page", offsetof(PageRun, first_page), H5T_STD_U64LE},
                            {"pages", offsetof(PageRun, pages), H5T_STD_U64LE},
                            {"zero", offsetof(PageRun, zero), H5T_STD_U64LE}};
  return Compound(file, sizeof(PageRun), members);
}

Hdf5Handle EntryType(Hdf5File* file) {
  const Member members[] = {{"rank", offsetof(FileEntry, rank), H5T_STD_I32LE},
                            {"bytes", offsetof(FileEntry, bytes), H5T_STD_U64LE},
                            {"base_csn", offsetof(FileEntry, base_csn), H5T_STD_U64LE},
                            {"seal", offsetof(FileEntry, seal), H5T_STD_U64LE}};
  return Compound(file, sizeof(FileEntry), members);
}

void WriteTable(Hdf5File* file, hid_t parent, const char* name, hid_t type, hsize_t count,
                const void* data) {
  const Hdf5Handle space =
      file->Check(H5Screate_simple(1, &count, nullptr), H5Sclose, "describe a table");
  Hdf5Handle table = file->Check(
      H5Dcreate2(parent, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose,
      "create a table");
  if (count > 0) {
    file->Check(H5Dwrite(table.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "write a table");
  }
  file->Check(table.Close(), "write a table");
}

// Length of a one-dimensional dataset.
hsize_t LengthOf(Hdf5File* file, hid_t dataset) {
  const Hdf5Handle space = file->Check(H5Dget_space(dataset), H5Sclose, "examine a dataset");
  hsize_t count = 0;
  file->CheckResult(H5Sget_simple_extent_ndims(space.get()) != 1 ||
                        H5Sget_simple_extent_dims(space.get(), &count, nullptr) < 0,
                    "read a dataset that is not one-dimensional");
  return count;
}

template <typename Entry>
std::vector<Entry> ReadTable(Hdf5File* file, hid_t parent, const char* name, hid_t type,
                             std::uint64_t limit) {
  const Hdf5Handle table =
      file->Check(H5Dopen2(parent, name, H5P_DEFAULT), H5Dclose, "open a table");
  const hsize_t count = LengthOf(file, table.get());
  file->CheckResult(count > limit, "read a table: it is too long");
  std::vector<Entry> entries(count);
  if (count > 0) {
    file->Check(H5Dread(table.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, entries.data()),
                "read a table");
  }
  return entries;
}

Hdf5Handle TextType(Hdf5File* file) {
  Hdf5Handle type = file->Check(H5Tcopy(H5T_C_S1), H5Tclose, "make a text type");
  file->Check(H5Tset_size(type.get(), H5T_VARIABLE), "make a text type");
  file->Check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "make a text type");
  return type;
}

void WriteAttribute(Hdf5File* file, hid_t object, const char* name, hid_t type, const void* value) {
  const Hdf5Handle space = file->Check(H5Screate(H5S_SCALAR), H5Sclose, "describe an attribute");
  Hdf5Handle attribute =
      file->Check(H5Acreate2(object, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                  "create an attribute");
  file->Check(H5Awrite(attribute.get(), type, value), "write an attribute");
  file->Check(attribute.Close(), "write an attribute");
}

}  // namespace

void WriteNumber(Hdf5File* file, hid_t object, const char* name, std::uint64_t value) {
  WriteAttribute(file, object, name, H5T_STD_U64LE, &value);
}

void WriteText(Hdf5File* file, hid_t object, const char* name, const std::string& value) {
  const Hdf5Handle type = TextType(file);
  const char* text = value.c_str();
  WriteAttribute(file, object, name, type.get(), &text);
}

std::uint64_t ReadNumber(Hdf5File* file, hid_t object, const char* name) {
  const Hdf5Handle attribute = file->Check(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, name);
  std::uint64_t value = 0;
  file->Check(H5Aread(attribute.get(), H5T_STD_U64LE, &value), name);
  return value;
}

std::string ReadText(Hdf5File* file, hid_t object, const char* name) {
  const Hdf5Handle attribute = file->Check(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, name);
  const Hdf5Handle type = TextType(file);
  char* text = nullptr;
  file->Check(H5Aread(attribute.get(), type.get(), &text), name);
  std::string value = text == nullptr ? "" : text;
  H5free_memory(text);
  return value;
}

Hdf5Handle Hdf5Type(Hdf5File* file, ElementType type) {
  const auto plain = [&](hid_t id) { return file->Check(H5Tcopy(id), H5Tclose, "make a type"); };
  const auto complex = [&](hid_t part, std::size_t size) {
    const Member members[] = {{"r", 0, part}, {"i", size, part}};
    return Compound(file, 2 * size, members);
  };
  switch (type) {
    case ElementType::kByte:
    case ElementType::kUint8:
      return plain(H5T_STD_U8LE);
    case ElementType::kInt8:
      return plain(H5T_STD_I8LE);
    case ElementType::kInt16:
      return plain(H5T_STD_I16LE);
    case ElementType::kInt32:
      return plain(H5T_STD_I32LE);
    case ElementType::kInt64:
      return plain(H5T_STD_I64LE);
    case ElementType::kUint16:
      return plain(H5T_STD_U16LE);
    case ElementType::kUint32:
      return plain(H5T_STD_U32LE);
    case ElementType::kUint64:
      return plain(H5T_STD_U64LE);
    case ElementType::kFloat32:
      return plain(H5T_IEEE_F32LE);
    case ElementType::kFloat64:
      return plain(H5T_IEEE_F64LE);
    case ElementType::kComplex64:
      return complex(H5T_IEEE_F32LE, 4);
    case ElementType::kComplex128:
      return complex(H5T_IEEE_F64LE, 8);
    case ElementType::kLongDouble:
      return plain(H5T_NATIVE_LDOUBLE);
  }
  throw StoreError("an element type without an HDF5 type");
}

ElementType ElementTypeOf(Hdf5File* file, hid_t type) {
  // kByte is stored as kUint8.
  for (auto each = static_cast<std::uint32_t>(ElementType::kInt8);
       each <= static_cast<std::uint32_t>(ElementType::kLongDouble); ++each) {
    const auto candidate = static_cast<ElementType>(each);
    const Hdf5Handle known = Hdf5Type(file, candidate);
    if (H5Tequal(known.get(), type) > 0) return candidate;
  }
  file->CheckResult(true, "read a dataset of an unknown type");
  return ElementType::kByte;
}

void WriteRuns(Hdf5File* file, hid_t group, std::span<const PageRun> runs) {
  const Hdf5Handle type = RunType(file);
  WriteTable(file, group, "runs", type.get(), runs.size(), runs.data());
}

std::vector<PageRun> ReadRuns(Hdf5File* file, hid_t group) {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 36;
  const Hdf5Handle type = RunType(file);
  return ReadTable<PageRun>(file, group, "runs", type.get(), kLimit);
}

void WriteFileEntries(Hdf5File* file, std::span<const FileEntry> entries) {
  const Hdf5Handle type = EntryType(file);
  WriteTable(file, file->id(), "files", type.get(), entries.size(), entries.data());
}

std::vector<FileEntry> ReadFileEntries(Hdf5File* file) {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 31;
  const Hdf5Handle type = EntryType(file);
  return ReadTable<FileEntry>(file, file->id(), "files", type.get(), kLimit);
}

// --- Writing ------------------------------------------------------------------------------------

DatasetWriter::DatasetWriter(Hdf5File* file, hid_t parent, const char* name, ElementType type,
                             std::uint64_t expected, int compression)
    : file_(file),
      element_(ElementSize(type)),
      compression_(compression),
      chunk_(std::clamp<std::uint64_t>(expected, element_, kBlockSize)),
      hash_(XXH3_createState()) {
  const hsize_t nothing = 0;
  const hsize_t unlimited = H5S_UNLIMITED;
  const hsize_t chunk = chunk_ / element_;
  const Hdf5Handle space =
      file->Check(H5Screate_simple(1, &nothing, &unlimited), H5Sclose, "describe a dataset");
  const Hdf5Handle properties =
      file->Check(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "describe a dataset");
  file->Check(H5Pset_chunk(properties.get(), 1, &chunk), "describe a dataset");
  // All bytes come from us; HDF5 must not write chunks of its own first.
  file->Check(H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER), "describe a dataset");
  if (compression > 0) {
    const auto level = static_cast<unsigned>(compression);
    file->Check(H5Pset_filter(properties.get(), kZstdFilter, H5Z_FLAG_OPTIONAL, 1, &level),
                "ask for compression");
  }
  const Hdf5Handle file_type = Hdf5Type(file, type);
  dataset_ = file->Check(H5Dcreate2(parent, name, file_type.get(), space.get(), H5P_DEFAULT,
                                    properties.get(), H5P_DEFAULT),
                         H5Dclose, "create a dataset (is its name there twice?)");
  buffer_.resize(chunk_);
  XXH3_64bits_reset(hash_.get());
}

std::span<std::byte> DatasetWriter::Room() {
  if (filled_ == chunk_) WriteChunk();
  return std::span(buffer_).subspan(filled_);
}

void DatasetWriter::Advance(std::uint64_t bytes) { filled_ += bytes; }

void DatasetWriter::WriteChunk() {
  XXH3_64bits_update(hash_.get(), buffer_.data(), filled_);
  std::fill(buffer_.begin() + static_cast<std::ptrdiff_t>(filled_), buffer_.end(), std::byte{0});
  const hsize_t offset = written_ / element_;
  written_ += filled_;
  filled_ = 0;
  const hsize_t extent = written_ / element_;
  file_->Check(H5Dset_extent(dataset_.get(), &extent), "extend a dataset");
  std::uint32_t skipped_filters = 0;
  std::span<const std::byte> stored(buffer_);
  if (compression_ > 0) {
    if (ZstdCompress(buffer_, compression_, &compressed_)) {
      stored = compressed_;
    } else {
      skipped_filters = 1;
    }
  }
  file_->Check(H5Dwrite_chunk(dataset_.get(), H5P_DEFAULT, skipped_filters, &offset, stored.size(),
                              stored.data()),
               "write a dataset");
}

std::uint64_t DatasetWriter::Finish() {
  if (filled_ > 0) WriteChunk();
  WriteNumber(file_, dataset_.get(), "xxh3", XXH3_64bits_digest(hash_.get()));
  file_->Check(dataset_.Close(), "write a dataset");
  return written_;
}

// --- Reading ------------------------------------------------------------------------------------

DatasetReader::DatasetReader(Hdf5File* file, hid_t parent, const char* name)
    : file_(file),
      name_(name),
      dataset_(file->Check(H5Dopen2(parent, name, H5P_DEFAULT), H5Dclose, "open a dataset")) {
  const Hdf5Handle type =
      file->Check(H5Dget_type(dataset_.get()), H5Tclose, "examine a dataset's type");
  type_ = ElementTypeOf(file, type.get());
  element_ = ElementSize(type_);
  const hsize_t count = LengthOf(file, dataset_.get());
  const Hdf5Handle properties =
      file->Check(H5Dget_create_plist(dataset_.get()), H5Pclose, "examine how a dataset is stored");
  hsize_t chunk = 0;
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 57;
  file->CheckResult(H5Pget_layout(properties.get()) != H5D_CHUNKED ||
                        H5Pget_chunk(properties.get(), 1, &chunk) != 1 || chunk == 0 ||
                        chunk > kBlockSize / element_ || count > kLimit / element_,
                    "read a dataset that is stored in another way than ftmpi does");
  const int filters = H5Pget_nfilters(properties.get());
  bool known = filters == 0;
  if (filters == 1) {
    unsigned flags = 0;
    std::size_t values = 0;
    known = H5Pget_filter2(properties.get(), 0, &flags, &values, nullptr, 0, nullptr, nullptr) ==
            kZstdFilter;
  }
  file->CheckResult(!known, "read a dataset with a filter that ftmpi does not use");
  bytes_ = count * element_;
  chunk_ = chunk * element_;
  checksum_ = ReadNumber(file, dataset_.get(), "xxh3");
}

void DatasetReader::ReadChunk(std::uint64_t index, std::span<std::byte> target) {
  const hsize_t offset = index * (chunk_ / element_);
  hsize_t stored = 0;
  file_->Check(H5Dget_chunk_storage_size(dataset_.get(), &offset, &stored), "find a chunk");
  file_->CheckResult(stored == 0 || stored > chunk_, "read a chunk that is missing or too large");
  const bool direct = stored == chunk_ && target.size() == chunk_;
  std::byte* into = target.data();
  if (!direct) {
    stored_.resize(stored);
    into = stored_.data();
  }
  std::uint32_t skipped_filters = 0;
  file_->Check(H5Dread_chunk(dataset_.get(), H5P_DEFAULT, &offset, &skipped_filters, into),
               "read a chunk");
  if (direct) return;  // compressed chunks are smaller
  std::vector<std::byte> content;
  if (target.size() != chunk_) {
    cached_ = kNone;
    cache_.resize(chunk_);
    target = cache_;
  }
  if (stored == chunk_) {
    std::memcpy(target.data(), stored_.data(), chunk_);
  } else {
    file_->CheckResult(skipped_filters != 0 || !ZstdDecompress(stored_, target),
                       "decompress a chunk");
  }
  if (target.data() == cache_.data()) cached_ = index;
}

void DatasetReader::ReadAt(std::uint64_t offset, std::span<std::byte> buffer) {
  file_->CheckResult(offset > bytes_ || buffer.size() > bytes_ - offset,
                     "read bytes behind a dataset's end");
  while (!buffer.empty()) {
    const std::uint64_t index = offset / chunk_;
    const std::uint64_t within = offset % chunk_;
    const std::uint64_t part = std::min<std::uint64_t>(buffer.size(), chunk_ - within);
    if (part == chunk_) {
      ReadChunk(index, buffer.first(part));
    } else {
      if (cached_ != index) ReadChunk(index, {});
      std::memcpy(buffer.data(), cache_.data() + within, part);
    }
    offset += part;
    buffer = buffer.subspan(part);
  }
}

void DatasetReader::CheckAll() {
  std::unique_ptr<XXH3_state_t, void (*)(XXH3_state_t*)> hash(
      XXH3_createState(), [](XXH3_state_t* state) { XXH3_freeState(state); });
  XXH3_64bits_reset(hash.get());
  std::vector<std::byte> buffer;
  for (std::uint64_t offset = 0; offset < bytes_; offset += buffer.size()) {
    buffer.resize(std::min(chunk_, bytes_ - offset));
    ReadAt(offset, buffer);
    XXH3_64bits_update(hash.get(), buffer.data(), buffer.size());
  }
  file_->CheckResult(XXH3_64bits_digest(hash.get()) != checksum_,
                     ("trust dataset " + name_ + ": its checksum is wrong").c_str());
}

}  // namespace ftmpi::checkpoint
