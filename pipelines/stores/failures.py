"""What goes wrong with an object store: what passes if one waits, and what to tell people of the rest."""

from __future__ import annotations

import errno
from urllib.parse import urlsplit

from ..errors import StoreError

_EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcp"), "gcs": ("gcsfs", "gcp")}
"""The package that fsspec needs for a scheme, and the extra of headrace that brings it."""
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role gives them",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
}
_LASTING = (
    errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT, errno.EROFS,
    errno.ENOTDIR, errno.EISDIR,
)  # fmt: skip
_NO_CREDENTIALS = (
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "DefaultCredentialsError", "RefreshError",
)  # fmt: skip
_PASSING = ("SlowDown", "Throttl", "RequestLimit", "InternalError", "ServiceUnavailable", "RequestTimeout",
            "Reduce your request rate")  # fmt: skip
_CONDITIONS = ("PreconditionFailed", "pre-condition", "NotImplemented", "not implemented")
_NETWORK = ("botocore", "aiobotocore", "aiohttp", "urllib3", "requests", "gcsfs", "http", "asyncio", "fsspec")


def is_passing(error: BaseException) -> bool:
    """Whether the same request may well succeed in a while."""
    if (
        isinstance(error, ImportError)
        or is_refusal(error)
        or _lacks_credentials(error)
        or is_condition(error)
    ):
        return False
    if any(sign in str(error) for sign in _PASSING):
        return True
    if isinstance(error, OSError):
        return error.errno not in _LASTING
    return type(error).__module__.partition(".")[0] in _NETWORK and "Param" not in type(error).__name__


def told(error: BaseException, where: str, tries: int = 1) -> StoreError:
    """The error as people are told it, with what to do."""
    scheme = urlsplit(where).scheme
    package, extra = _EXTRAS.get(scheme, ("", ""))
    if isinstance(error, ImportError):
        return StoreError(
            f"a store on {scheme}:// needs the package {package or error.name}, which isn't installed",
            file=where,
            remedy=f"pip install 'headrace[{extra}]'" if extra else f"pip install {error.name}",
        )
    credentials = _CREDENTIALS.get({"s3a": "s3", "gcs": "gs"}.get(scheme, scheme), "see the service's page")
    if _lacks_credentials(error):
        return StoreError("there are no credentials for the store", file=where, remedy=credentials)
    if is_refusal(error):
        return StoreError(
            f"the store refuses: {_text(error)}",
            file=where,
            remedy=f"credentials that may read, write, list and delete there: {credentials}",
        )
    if isinstance(error, FileNotFoundError):
        return StoreError(
            f"there is no such bucket ({_text(error)})",
            file=where,
            remedy="make the bucket, or see whether --store and AWS_ENDPOINT_URL name the right one",
        )
    after = f" after {tries} tries" if tries > 1 else ""
    return StoreError(
        f"the store can't be used{after}: {_text(error)}",
        file=where,
        remedy="see whether the network and the service are well, and run again: what is done is kept",
    )


def is_refusal(error: BaseException) -> bool:
    """Whether the service doesn't let us; gcsfs has no PermissionError for it."""
    return isinstance(error, PermissionError) or str(error).startswith("Forbidden")


def is_condition(error: BaseException | None) -> bool:
    """Whether a conditional write came to nothing: its condition wasn't met, or the service knows none."""
    return error is not None and any(sign in f"{error} {error.__cause__}" for sign in _CONDITIONS)


def lacks_bucket(error: BaseException) -> bool:
    """Whether not only the object is missing, but its bucket."""
    return any("bucket does not exist" in str(each) for each in (error, error.__cause__) if each)


def _lacks_credentials(error: BaseException) -> bool:
    return any(type(each).__name__ in _NO_CREDENTIALS for each in (error, error.__cause__) if each)


def _text(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
