"""What the keys of a definition mean: models, their errors in plain words, and the words that are not built yet."""

from jobd.definitions.schema.job import FILE_KEYS, JobWords, file_schema, name_fault

__all__ = ["FILE_KEYS", "JobWords", "file_schema", "name_fault"]
