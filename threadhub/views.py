"""Pages that belong to no dialect."""

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe


@csrf_exempt
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 when the process answers and reaches its database, else 503; for load balancers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return JsonResponse({"status": "database unavailable"}, status=503, headers={"Retry-After": "2"})
    return JsonResponse({"status": "ok"})
